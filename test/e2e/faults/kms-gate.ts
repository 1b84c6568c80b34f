// A KMS that can be told to refuse. The ground's own decrypts under a disabled key too, so this stands before it and answers as
// the real one does (AWS KMS API reference, Decrypt, DisabledException).
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { environment } from '../../support/cluster.ts';

const DISABLED = JSON.stringify({ __type: 'DisabledException', message: 'The key is disabled.' });

export class KmsGate {
  readonly #server: Server;
  #refuses = false;

  private constructor() {
    this.#server = createServer((incoming, answer) => this.#answer(incoming, answer));
  }

  static async open(): Promise<KmsGate> {
    const gate = new KmsGate();
    await new Promise<void>((resolve) => gate.#server.listen(0, '0.0.0.0', resolve));
    return gate;
  }

  /** As pods reach it. */
  get endpoint(): string {
    const address = this.#server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return `http://${environment()['HOST_ADDRESS'] ?? '127.0.0.1'}:${port}`;
  }

  refuseDecrypt(refuses: boolean): void {
    this.#refuses = refuses;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #answer(incoming: IncomingMessage, answer: ServerResponse): void {
    if (this.#refuses && incoming.headers['x-amz-target'] === 'TrentService.Decrypt') {
      answer.writeHead(400, { 'content-type': 'application/x-amz-json-1.1' }).end(DISABLED);
      return;
    }
    const { hostname, port } = new URL(environment()['KMS_A_ENDPOINT'] ?? '');
    const onward = request({ hostname, port, path: incoming.url, method: incoming.method, headers: incoming.headers }, (said) => {
      answer.writeHead(said.statusCode ?? 502, said.headers);
      said.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    incoming.pipe(onward);
  }
}
