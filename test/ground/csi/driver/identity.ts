// Who the driver is and what it can do, to the sidecars and to the kubelet.
import { z } from 'zod';
import { Empty } from './messages.ts';
import { method, type Methods } from './rpc.ts';

/** @param name - the driver's name, as CSIDriver and classes say it */
export function identity(name: string): Methods {
  const services = ['CONTROLLER_SERVICE', 'GROUP_CONTROLLER_SERVICE', 'VOLUME_ACCESSIBILITY_CONSTRAINTS'];
  return {
    GetPluginInfo: method(Empty, () => ({ name, vendor_version: '1' })),
    GetPluginCapabilities: method(Empty, () => ({ capabilities: services.map((type) => ({ service: { type } })) })),
    Probe: method(Empty, () => ({ ready: { value: true } })),
  };
}

/** The kubelet asks on a second socket where the driver is, and tells whether it took it. */
export function registration(name: string, endpoint: string): Methods {
  return {
    GetInfo: method(Empty, () => ({ type: 'CSIPlugin', name, endpoint, supported_versions: ['1.0.0'] })),
    NotifyRegistrationStatus: method(z.object({ plugin_registered: z.boolean(), error: z.string() }), ({ plugin_registered: taken, error }) => {
      console.error(taken ? 'the kubelet took the driver' : `the kubelet refused the driver: ${error}`);
      return {};
    }),
  };
}
