// A server with tokens asks for one.

import { setToken } from "../api.js";
import { byId } from "./dom.js";

/** Ask the user for a token; resolves once one was given. */
export async function askToken() {
  const dialog = byId("token", HTMLDialogElement);
  const input = byId("token-text", HTMLInputElement);
  if (!dialog.open) dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (input.value !== "") setToken(input.value);
  input.value = "";
}
