// gRPC as the driver needs it: services from protocol definitions that are read at start, methods whose requests are
// checked by schemas, and errors with one of gRPC's codes.
import { rm } from 'node:fs/promises';
import { Server, ServerCredentials, status, type ServiceDefinition, type UntypedHandleCall, type handleUnaryCall } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { z } from 'zod';

type Code = Exclude<keyof typeof status, 'OK'>;

/** A refusal in CSI's words: the specification names the code of each. */
export class CsiError extends Error {
  override readonly name = 'CsiError';
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}

/** The methods of one service by their names in the protocol. */
export type Methods = Readonly<Record<string, UntypedHandleCall>>;

/** One method: its request is parsed first, and whatever it throws becomes the call's status. */
export function method<S extends z.ZodType>(request: S, answer: (request: z.infer<S>) => object | Promise<object>): handleUnaryCall<unknown, object> {
  return (call, done) => {
    const answered = async (): Promise<object> => {
      const parsed = request.safeParse(call.request);
      if (!parsed.success) throw new CsiError('INVALID_ARGUMENT', parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
      return answer(parsed.data);
    };
    answered().then(
      (response) => done(null, response),
      (error: unknown) => {
        const known = error instanceof CsiError ? error : undefined;
        const message = error instanceof Error ? error.message : String(error);
        console.error(`${call.getPath()}: ${known?.code ?? 'INTERNAL'}: ${message}`);
        done({ code: status[known?.code ?? 'INTERNAL'], details: message });
      },
    );
  };
}

/** The definition of a service, such as `csi.v1.Node`. */
export function serviceOf(protocol: string, name: string): ServiceDefinition {
  const definition = loadSync(protocol, { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true })[name];
  if (definition === undefined || 'format' in definition) throw new Error(`${protocol} has no service ${name}`);
  return definition;
}

/** Answers on a UNIX socket, in place of whoever did before. Methods that a service lacks are answered as unimplemented. */
export async function serve(socket: string, services: readonly (readonly [ServiceDefinition, Methods])[]): Promise<Server> {
  await rm(socket, { force: true });
  const server = new Server();
  for (const [definition, methods] of services) server.addService(definition, methods);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix://${socket}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  return server;
}
