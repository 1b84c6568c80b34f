import { Command, CommanderError, Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import type { ProcessContext } from './command-context.ts';
import { EXIT } from './exit-status.ts';
import { examplesOf, FIRST_STEPS, HELP, NeededOption } from './help-text.ts';
import { reportFailure } from './report-failure.ts';
import { UsageError } from './usage-error.ts';

/**
 * Runs one command line and resolves to its exit status. Commands are loaded only when they are called, so that
 * `--version` needs neither the engine nor an SDK. Never throws.
 * @param args without the program's own name.
 */
export async function runProgram(args: readonly string[], context: ProcessContext): Promise<number> {
  let status: number = EXIT.done;
  const json = args.includes('--json');
  const program = describeProgram(context, json, (ended) => {
    status = ended;
  });
  addExamples(program);
  try {
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error, { json, context });
    if (error.exitCode === 0) return EXIT.done;
    return json ? reportFailure(new UsageError(wordsOf(error)), { json, context }) : EXIT.usage;
  }
}

/** What commander would have written, for `--json`. */
function wordsOf({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'the command is missing; --help lists them';
  return `${message.replace(/^error: /, '').replaceAll('\n', ' ')} (--help lists the options)`;
}

function addExamples(command: Command): void {
  for (const child of command.commands) {
    const text = examplesOf(child.name());
    if (text !== '') child.addHelpText('after', text);
    addExamples(child);
  }
}

type Done = (status: number) => void;

function describeProgram(context: ProcessContext, json: boolean, done: Done): Command {
  const program = new Command('tenant-backup')
    .description('Keeps every customer\'s data safe: encrypted, deduplicated backups in the restic repository format.')
    .version(packageJson.version)
    .showHelpAfterError('(add --help for the options)')
    .configureOutput({ writeOut: (text) => void context.stdout.write(text), writeErr: json ? () => undefined : (text) => void context.stderr.write(text) })
    .configureHelp(HELP)
    .addHelpText('after', FIRST_STEPS)
    .exitOverride();
  describeWriting(program, context, done);
  describeReading(program, context, done);
  describeRemoving(program, context, done);
  describeMoving(program, context, done);
  describeKeys(program, context, done);
  describeAudit(program, context, done);
  describeServices(program, context, done);
  return program;
}

const waitForLock = 'wait so long for another program that has the repository locked, such as 5m';

const FROM_REPLICA = ['--from-replica', 'the bucket is a replica: read what was put first, whatever was deleted or put on top of it'] as const;
const CA_FILE = ['--ca-file <file>', 'PEM file of certificate authorities to trust beside the system\'s, for S3 and KMS'] as const;
/** People who know restic give it to whatever reads. */
const NO_LOCK = ['--no-lock', 'as ever: this command takes no lock'] as const;
const JSON_LINES = ['--json', 'one JSON object a line'] as const;

/** Every command on a repository names it and its key alike. */
function onRepository(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .addOption(new NeededOption('--repository <url>', 'file:///directory or s3://bucket/prefix?endpoint=…&region=…'))
    .option('--kms <key>', 'aws:KEY_ID[,endpoint=…][,region=…] or local:/path; may be repeated', collect)
    .option('--secret-key-file <file>', 'file, pipe (/dev/fd/3) or - with the secret key, or any restic password')
    .option('--tenant <id>', 'the tenant whose key it is, where the URL does not say so (32 hex digits)')
    .option(...CA_FILE)
    .option(...JSON_LINES);
}

function describeWriting(program: Command, context: ProcessContext, done: Done): void {
  onRepository(program, 'init', 'Make a new, empty repository.').action(async (options: unknown) => {
    const { init } = await import('./commands/init.ts');
    done(await init(options, context));
  });
  onRepository(program, 'backup', 'Back directories up into a new snapshot.')
    .option('--source <dir>', 'directory to back up; may be repeated', collect)
    .option('--stdin-filename <path>', 'store standard input as this file, beside the sources or alone')
    .option('--as <path>', 'the path that the snapshot shows instead of the source\'s own; one for each --source', collect)
    .option('--tag <k=v>', 'tag of the snapshot; may be repeated', collect)
    .option('--exclude <glob>', 'leave out what matches; may be repeated', collect)
    .option('--host <name>', 'host name that the snapshot shows')
    .option('--parent <id>', 'compare with this snapshot instead of the newest one of the same host and paths')
    .option('--force', 'read every file, also those that look unchanged')
    .option('--ignore-inode', 'a file is unchanged when size and mtime are, for copied volumes')
    .option('--compression <mode>', 'of new data: auto, max (smaller, for several times the CPU) or off')
    .option('--cross-file-systems', 'enter file systems that are mounted below a source')
    .option('--retry-lock <time>', waitForLock)
    .action(async (options: unknown) => {
      const { backup } = await import('./commands/backup.ts');
      done(await backup(options, context));
    });
}

function describeReading(program: Command, context: ProcessContext, done: Done): void {
  onRepository(program, 'snapshots', 'List the snapshots.')
    .option(...FROM_REPLICA)
    .option(...NO_LOCK)
    .action(async (options: unknown) => {
      const { snapshots } = await import('./commands/snapshots.ts');
      done(await snapshots(options, context));
    });
  onRepository(program, 'ls', 'List the files of a snapshot.')
    .option(...NO_LOCK)
    .option(...FROM_REPLICA)
    .addOption(new NeededOption('--snapshot <id>', 'a snapshot\'s id, the beginning of one, or latest'))
    .action(async (options: unknown) => {
      const { ls } = await import('./commands/ls.ts');
      done(await ls(options, context));
    });
  onRepository(program, 'restore', 'Restore a snapshot into a directory.')
    .option(...FROM_REPLICA)
    .addOption(new NeededOption('--snapshot <id>', 'a snapshot\'s id, the beginning of one, or latest'))
    .addOption(new NeededOption('--target <dir>', 'directory to restore into'))
    .option('--subtree <path>', 'restore only what lies below this path of the snapshot, straight into the target')
    .option('--include <glob>', 'restore only what matches; may be repeated', collect)
    .option('--exclude <glob>', 'leave out what matches; may be repeated', collect)
    .option('--delete-extra', 'remove what the snapshot does not have')
    .option('--dry-run', 'write nothing, say what would be done')
    .option(...NO_LOCK)
    .option('--skip-damaged', 'restore what can be restored although some of the data is damaged')
    .action(async (options: unknown) => {
      const { restore } = await import('./commands/restore.ts');
      done(await restore(options, context));
    });
  onRepository(program, 'check', 'Find out whether the repository is sound.')
    .option(...FROM_REPLICA)
    .addOption(new Option('--read-data', 'read and verify every pack').conflicts('readDataSubset'))
    .option('--read-data-subset <share>', 'read and verify a share of the packs, such as 10%, or one part of so many, such as 3/10')
    .option('--no-lock', 'take no lock, for a repository that cannot be written to; no prune may run meanwhile')
    .option('--retry-lock <time>', waitForLock)
    .action(async (options: unknown) => {
      const { check } = await import('./commands/check.ts');
      done(await check(options, context));
    });
}

function describeRemoving(program: Command, context: ProcessContext, done: Done): void {
  onRepository(program, 'forget', 'Remove snapshots; their data goes with the next prune.')
    .argument('[ids...]', 'snapshots to remove')
    .option('--keep-last <n>', 'instead of ids: keep the newest n of each host and paths')
    .option('--prune', 'prune afterwards')
    .option('--retry-lock <time>', waitForLock)
    .action(async (ids: string[], options: unknown) => {
      const { forget } = await import('./commands/forget.ts');
      done(await forget(ids, options, context));
    });
  onRepository(program, 'prune', 'Remove data that no snapshot needs, 48 hours after that was first seen.')
    .option('--dry-run', 'print the plan and do nothing')
    .option('--now', 'do not wait 48 hours; only when nobody reads the repository meanwhile')
    .option('--retry-lock <time>', waitForLock)
    .action(async (options: unknown) => {
      const { prune } = await import('./commands/prune.ts');
      done(await prune(options, context));
    });
}

/** What needs no key: ciphertext is moved as it is. */
function describeMoving(program: Command, context: ProcessContext, done: Done): void {
  onRepository(program, 'export', 'Write one snapshot with all it needs into one file, which restic opens, too.')
    .option(...FROM_REPLICA)
    .addOption(new NeededOption('--snapshot <id>', 'a snapshot\'s id, the beginning of one, or latest'))
    .addOption(new NeededOption('--output <file>', 'the file; it must not exist yet'))
    .action(async (options: unknown) => {
      const { exportCommand } = await import('./commands/export.ts');
      done(await exportCommand(options, context));
    });
  program
    .command('import')
    .description('Check a file that export made, and lay it into a new repository of its own.')
    .addOption(new NeededOption('--input <file>', 'the file'))
    .addOption(new NeededOption('--repository <url>', 'an empty place: file:///directory or s3://bucket/prefix?endpoint=…&region=…'))
    .option(...CA_FILE)
    .option(...JSON_LINES)
    .action(async (options: unknown) => {
      const { importCommand } = await import('./commands/import.ts');
      done(await importCommand(options, context));
    });
  program
    .command('copy')
    .description('Copy a repository, or what is new in it, to another place.')
    .addOption(new NeededOption('--from <url>', 'file:///directory or s3://bucket/prefix?endpoint=…&region=…'))
    .addOption(new NeededOption('--to <url>', 'the same; a bucket with Object Lock where --lock is given'))
    .option('--lock <mode>', 'lock each object that is copied: compliance or governance')
    .option('--retain-for <time>', 'how long, such as 30d')
    .option(...CA_FILE)
    .option(...JSON_LINES)
    .action(async (options: unknown) => {
      const { copy } = await import('./commands/copy.ts');
      done(await copy(options, context));
    });
  program
    .command('replicate')
    .description('Bring the second data center up to date with all tenants of the first: copy, lock, extend, and notice losses.')
    .addOption(new NeededOption('--from <url>', 's3://bucket/prefix?endpoint=…&region=… of a location: tenants/ lies below it'))
    .addOption(new NeededOption('--to <url>', 'the same of the second data center; a bucket with Object Lock'))
    .addOption(new NeededOption('--lock <mode>', 'compliance, which nobody can take back, or governance'))
    .addOption(new NeededOption('--retain-for <time>', 'how long each object is locked from when it was last needed, such as 30d'))
    .option('--tenant <id>', 'this tenant alone; may be repeated', collect)
    .option('--released <id>', 'a tenant whose losses in the source are meant; may be repeated', collect)
    .option('--concurrency <n>', 'objects in flight at a time')
    .option('--server-side-copy', 'where one service has both buckets: it copies between them by itself')
    .option(...CA_FILE)
    .option(...JSON_LINES)
    .action(async (options: unknown) => {
      const { replicate } = await import('./commands/replicate.ts');
      done(await replicate(options, context));
    });
  program
    .command('collect')
    .description('Remove from the second data center what nothing has needed for as long as it was locked.')
    .addOption(new NeededOption('--repository <url>', 's3://bucket/prefix?endpoint=…&region=… of the replica: tenants/ lies below it'))
    .addOption(new NeededOption('--retain-for <time>', 'as for replicate'))
    .option('--tenant <id>', 'this tenant alone; may be repeated', collect)
    .option('--dry-run', 'count what would go, and remove nothing')
    .option(...CA_FILE)
    .option(...JSON_LINES)
    .action(async (options: unknown) => {
      const { collectReplica } = await import('./commands/collect.ts');
      done(await collectReplica(options, context));
    });
}

function describeKeys(program: Command, context: ProcessContext, done: Done): void {
  const key = program.command('key').description('Make secret keys, and see what wraps them.');
  key
    .command('create')
    .description('Make a new secret key and write it down (tbk1-…); it is stored nowhere else.')
    .option('--output <file>', 'the file, for its owner alone; it must not exist yet. stdout where absent')
    .option('--json', 'one JSON object about the file that was made; needs --output')
    .addOption(new Option('--print', 'print it although stdout is a terminal').conflicts('output'))
    .action(async (options: unknown) => {
      const { keyCreate } = await import('./commands/key.ts');
      done(await keyCreate(options, context));
    });
  onRepository(key, 'rotate', "Make the next generation of a tenant's secret key, with an empty repository for it.").action(async (options: unknown) => {
    const { keyRotate } = await import('./commands/key-life.ts');
    done(await keyRotate(options, context));
  });
  onRepository(key, 'rewrap', 'Wrap the secret key under a further KMS key; data and other wrappings stay as they are.')
    .option('--to-kms <key>', 'the further KMS key, written as --kms is; may be repeated', collect)
    .action(async (options: unknown) => {
      const { keyRewrap } = await import('./commands/key-life.ts');
      done(await keyRewrap(options, context));
    });
  key
    .command('show-wrapped')
    .description('List the wrapped keys of a repository; needs no key.')
    .addOption(new NeededOption('--repository <url>', 'file:///directory or s3://bucket/prefix?endpoint=…&region=…'))
    .option(...CA_FILE)
    .option(...JSON_LINES)
    .action(async (options: unknown) => {
      const { keyShowWrapped } = await import('./commands/key.ts');
      done(await keyShowWrapped(options, context));
    });
}

function describeAudit(program: Command, context: ProcessContext, done: Done): void {
  const audit = program.command('audit').description("Read a tenant's audit trail, and find out whether it is whole.");
  const onTrail = (name: string, description: string): Command =>
    audit
      .command(name)
      .description(description)
      .addOption(new NeededOption('--repository <url>', 's3://bucket/prefix/tenants/TENANT?endpoint=…&region=…, or file:///…/tenants/TENANT'))
      .option(...CA_FILE)
      .option(...JSON_LINES);
  onTrail('list', 'List what was done, oldest first.').action(async (options: unknown) => {
    const { auditList } = await import('./commands/audit.ts');
    done(await auditList(options, context));
  });
  onTrail('verify', 'Find out whether events were removed, reordered, altered or cut off.')
    .option('--replica <url>', "the tenant in the second data center's bucket, which shows a trail that was cut off")
    .option('--public-key <key>', "an installation's public key: base64, or a PEM file; may be repeated", collect)
    .option('--expect <seq:hash>', 'the newest event that an earlier run printed')
    .action(async (options: unknown) => {
      const { auditVerify } = await import('./commands/audit.ts');
      done(await auditVerify(options, context));
    });
}

/** What Kubernetes runs. */
function describeServices(program: Command, context: ProcessContext, done: Done): void {
  program
    .command('mover')
    .description('Carry out the orders of a Job (run by the operator).')
    .option('--orders <dir>', 'directory with orders.json and credentials.json')
    .option('--bridge <socket>', 'socket of the bridge that reads streams')
    .option('--termination-message <file>', 'where the short result goes')
    .action(async (options: unknown) => {
      const { mover } = await import('./commands/mover.ts');
      done(await mover(options, context));
    });
  program
    .command('stream-bridge')
    .description("Run commands in a customer's pods for the mover beside it (run by the operator's Jobs).")
    .option('--orders <dir>', 'directory with bridge.json')
    .option('--socket <file>', 'where to listen')
    .option('--kubeconfig <file>', "file to reach the cluster by; the pod's service account where absent")
    .action(async (options: unknown) => {
      const { streamBridge } = await import('./commands/stream-bridge.ts');
      done(await streamBridge(options, context));
    });
  program
    .command('operator')
    .description('Run the controllers in a cluster (installed by the Helm chart).')
    .addOption(new NeededOption('--mover-image <image>', 'image of the movers where the location names none'))
    .option('--mover-namespace <namespace>', "where movers of snapshots run (default: the operator's namespace with -movers after it)")
    .option('--namespace <name>', "the operator's namespace; POD_NAMESPACE where absent")
    .option('--identity <name>', "this replica's name; POD_NAME where absent")
    .option('--lease-name <name>', 'the Lease that elects the leader')
    .option('--health-port <port>', 'port of /healthz and /readyz')
    .option('--metrics-port <port>', 'port of /metrics')
    .option('--log-level <level>', 'trace, debug, info, warn or error')
    .option('--kubeconfig <file>', "file to reach the cluster by; KUBECONFIG or the pod's service account where absent")
    .action(async (options: unknown) => {
      const { operator } = await import('./commands/operator.ts');
      done(await operator(options, context));
    });
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
