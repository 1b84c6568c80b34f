/** After a disaster: what a bucket has of each tenant is made anew in the cluster. */
export { Recoveries } from './recoveries.ts';
