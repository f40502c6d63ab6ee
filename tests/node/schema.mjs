// The messages, read at run time from the image of the released protocol: so this is a client of the last release, held
// against the server of today.

import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary, toBinary, create } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const IMAGE = new URL("../../proto/released.binpb", import.meta.url);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(IMAGE)));

function message(name) {
  const schema = registry.getMessage(`liqscape.v1.${name}`);
  if (schema === undefined) throw new Error(`the released protocol has no message ${name}`);
  return schema;
}

const schemas = Object.fromEntries(
  [
    "Frame",
    "Chunk",
    "SubscribeRequest",
    "SessionRequest",
    "PlaybackRequest",
    "GetLiquidationMapRequest",
    "GetLiquidationMapResponse",
  ].map((name) => [name, message(name)]),
);

export const decode = (name, bytes) => fromBinary(schemas[name], bytes);
export const encode = (name, fields) => toBinary(schemas[name], create(schemas[name], fields));
