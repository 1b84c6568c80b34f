// A KMS that enforces session policies, as a cloud's does and moto does not: an STS of its own, and in front of moto a gate that looks up the policy of the access
// key that signed and compares the encryption context, and the key's state, which moto keeps and does not enforce. It does not check signatures: a session is known by its key and token.
import { randomBytes } from 'node:crypto';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { PolicyDocument, PolicyStatement } from '../../src/storage/index.ts';

export interface KmsGuard {
  /** KMS and STS alike. */
  readonly endpoint: string;
  /** May use the keys under every context and make sessions: the movers' principal. */
  readonly movers: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** May wrap under every context, make sessions that do so, and nothing else: the operator's principal. */
  readonly operator: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** What was asked and what became of it: `Decrypt allowed`, `Decrypt denied`. */
  readonly seen: readonly string[];
  /** Ends every session that was made so far. */
  endSessions(): void;
  stop(): Promise<void>;
}

interface Session {
  readonly token: string;
  /** What its maker may do: a session has no more. */
  readonly may: readonly string[];
  readonly policy: PolicyDocument;
  endsAt: number;
}

interface KmsRequest {
  readonly KeyId?: string;
  readonly EncryptionContext?: Readonly<Record<string, string>>;
}

const MOST_SECONDS = 43_200;

/** @param all access key of a principal that may use every key under every context */
export async function startKmsGuard({ endpoint: kmsEndpoint, region }: { readonly endpoint: string; readonly region: string }, all?: string): Promise<KmsGuard> {
  const states = new KMSClient({ endpoint: kmsEndpoint, region, credentials: { accessKeyId: 'guard', secretAccessKey: 'guard' } });
  const movers = credentials('MOVERS');
  const operator = credentials('OPERATOR');
  const rights = new Map<string, readonly string[]>([
    [movers.accessKeyId, ['Encrypt', 'Decrypt']],
    [operator.accessKeyId, ['Encrypt']],
    ...(all === undefined ? [] : [[all, ['Encrypt', 'Decrypt']] as const]),
  ]);
  const sessions = new Map<string, Session>();
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const target = String(request.headers['x-amz-target'] ?? '');
      if (target.startsWith('TrentService.')) void answerKms(request, response, body, target.slice('TrentService.'.length));
      else answerSts(request, response, new URLSearchParams(body.toString('utf8')));
    });
  });

  function answerSts(request: IncomingMessage, response: ServerResponse, form: URLSearchParams): void {
    const may = rights.get(signerOf(request));
    if (form.get('Action') !== 'AssumeRole' || may === undefined) {
      response.writeHead(403, { 'content-type': 'text/xml' }).end('<ErrorResponse><Error><Code>AccessDenied</Code><Message>not this principal</Message></Error></ErrorResponse>');
      return;
    }
    const policy = JSON.parse(form.get('Policy') ?? '{}') as PolicyDocument;
    const made = { ...credentials('SESSION'), token: randomBytes(24).toString('base64') };
    const endsAt = Date.now() + Math.min(MOST_SECONDS, Number(form.get('DurationSeconds'))) * 1000;
    sessions.set(made.accessKeyId, { token: made.token, may, policy, endsAt });
    response.writeHead(200, { 'content-type': 'text/xml' }).end(
      `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>${made.accessKeyId}</AccessKeyId><SecretAccessKey>${made.secretAccessKey}</SecretAccessKey>` +
        `<SessionToken>${made.token}</SessionToken><Expiration>${new Date(endsAt).toISOString()}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
    );
  }

  async function answerKms(request: IncomingMessage, response: ServerResponse, body: Buffer, action: string): Promise<void> {
    const asked = JSON.parse(body.toString('utf8')) as KmsRequest;
    const verdict = judge(request, asked, action);
    seen.push(`${action} ${verdict === 'allowed' ? 'allowed' : 'denied'}`);
    const state = verdict === 'allowed' ? await stateOf(asked.KeyId) : undefined;
    if (verdict === 'allowed' && state === undefined) return forward(kmsEndpoint, request, response, body);
    if (state !== undefined) return refuse(response, state.type, state.message);
    refuse(response, verdict, `not authorized to perform kms:${action}`);
  }

  /** What AWS answers for a key in that state; undefined for one that can be used. */
  async function stateOf(KeyId: string | undefined): Promise<{ readonly type: string; readonly message: string } | undefined> {
    const found = await states.send(new DescribeKeyCommand({ KeyId })).catch(() => undefined);
    const { KeyState, Arn = '' } = found?.KeyMetadata ?? {};
    if (KeyState === 'Disabled') return { type: 'DisabledException', message: `${Arn} is disabled.` };
    return KeyState === 'PendingDeletion' ? { type: 'KMSInvalidStateException', message: `${Arn} is pending deletion.` } : undefined;
  }

  function judge(request: IncomingMessage, asked: KmsRequest, action: string): 'allowed' | 'AccessDeniedException' | 'ExpiredTokenException' {
    const signer = signerOf(request);
    const own = rights.get(signer);
    if (own !== undefined) return own.includes(action) ? 'allowed' : 'AccessDeniedException';
    const session = sessions.get(signer);
    if (session === undefined || request.headers['x-amz-security-token'] !== session.token) return 'AccessDeniedException';
    if (session.endsAt <= Date.now()) return 'ExpiredTokenException';
    return session.may.includes(action) && session.policy.Statement.some((statement) => allows(statement, action, asked)) ? 'allowed' : 'AccessDeniedException';
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the guard has no port');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    movers,
    operator,
    seen,
    endSessions: () => {
      for (const session of sessions.values()) session.endsAt = 0;
    },
    stop: async () => {
      states.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refuse(response: ServerResponse, type: string, message: string): void {
  response.writeHead(400, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify({ __type: type, message }));
}

/** Of IAM's language what a session policy of ours says; whatever else stands in a statement lets it allow nothing. */
function allows({ Effect, Action, Resource, Condition, ...rest }: PolicyStatement, action: string, { KeyId, EncryptionContext = {} }: KmsRequest): boolean {
  if (Effect !== 'Allow' || Object.keys(rest).some((name) => name !== 'Sid') || !Action.includes(`kms:${action}`)) return false;
  if (!Resource.some((resource) => resource === '*' || resource === KeyId)) return false;
  return Object.entries(Condition ?? {}).every(
    ([operator, keys]) =>
      operator === 'StringEquals' &&
      Object.entries(keys).every(([key, values]) => key.startsWith(CONTEXT) && values.includes(EncryptionContext[key.slice(CONTEXT.length)] ?? '')),
  );
}

const CONTEXT = 'kms:EncryptionContext:';

function signerOf(request: IncomingMessage): string {
  return /Credential=([^/]+)\//.exec(request.headers.authorization ?? '')?.[1] ?? '';
}

function forward(endpoint: string, request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => name !== 'host'));
  const onwards = httpRequest(new URL(request.url ?? '/', endpoint), { method: request.method ?? 'POST', headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
  });
  onwards.on('error', () => response.writeHead(500).end());
  onwards.end(body);
}

function credentials(name: string): { accessKeyId: string; secretAccessKey: string } {
  return { accessKeyId: `${name}${randomBytes(6).toString('hex').toUpperCase()}`, secretAccessKey: randomBytes(20).toString('hex') };
}
