/** BackupLocation: whether its storage can be written, its keys used, and its movers are confined. */
export { locationController, type LocationDependencies } from './location-controller.ts';
export { secretNames } from './secret-names.ts';
