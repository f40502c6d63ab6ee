// The page: what the user has chosen, what the server says, and the panels that show both.

import { Page } from "./page.js";

const page = new Page();
// For whoever looks at the page from its console, and for tests.
Object.assign(globalThis, { liqscape: page });
void page.run();
