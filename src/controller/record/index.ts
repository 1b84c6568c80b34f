/** What the bucket says of each tenant (`tenant/<rev>.json`), so that an empty cluster can make it anew. */
export { recordController, type RecordDependencies } from './record-controller.ts';
