// The three functions of @bufbuild/protobuf that the page uses. Packages are imported by path: a page without inline
// scripts has no import map.

export { create } from "../node_modules/@bufbuild/protobuf/dist/esm/create.js";
export { fromBinary } from "../node_modules/@bufbuild/protobuf/dist/esm/from-binary.js";
export { toBinary } from "../node_modules/@bufbuild/protobuf/dist/esm/to-binary.js";
