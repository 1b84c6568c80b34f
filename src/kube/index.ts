/**
 * The Kubernetes API as controllers need it: requests with typed errors, caches that survive, work queues, events, leader
 * election, logs. Knows the names of our kinds (`api/`) and none of their meaning.
 */
export { KubeConfig } from '@kubernetes/client-node';
export { KubeConnection, type Method, type Query, type RequestObserver, type RequestOptions } from './connection.ts';
export { Controller, type ControllerObserver, type ControllerOptions, type ReconcileResult } from './controller.ts';
export { isKubeError, KubeError, type KubeErrorCode } from './errors.ts';
export { EventRecorder, type EventInput, type EventSubject } from './events.ts';
export { compareVersions, Informer, keyOf, type InformerEvent, type InformerOptions } from './informer.ts';
export { LeaderLease, type LeaderOptions, type LeaseObject } from './leader-lease.ts';
export { isSame, mergePatch } from './merge-patch.ts';
export { OutputTail } from './output-tail.ts';
export { execForOutput, execInPod, type ExecEnd, type ExecOutputs, type PodContainer } from './pod-exec.ts';
export { followLog, readLog } from './pod-log.ts';
export { ResourceClient, type DeleteOptions, type Listing, type NewObject, type Selector } from './resource-client.ts';
export { collectionPath, objectPath, resourceTypes, type KubeObject, type ResourceType } from './resource-type.ts';
export { ScaleClient, type ScaleObject, type WorkloadReference } from './scale.ts';
export { systemTimers, WorkQueue, type QueueOptions, type Timers } from './work-queue.ts';
