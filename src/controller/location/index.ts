/** BackupLocation: whether its storage can be written, its keys used, its movers are confined, and its copy in the second data center is up to date. */
export { locationController, type LocationDependencies } from './location-controller.ts';
export { secretNames } from './secret-names.ts';
export { ReplicaStandings } from './replica-standings.ts';
