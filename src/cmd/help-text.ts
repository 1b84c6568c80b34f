import { Help, Option, type HelpConfiguration } from 'commander';

const STORE = 's3://backups/shop?endpoint=https://s3.example.com';

/** What follows the program's own help. */
export const FIRST_STEPS = `
First steps:
  tenant-backup key create --output secret.key
  tenant-backup init      --repository file:///srv/backups --secret-key-file secret.key
  tenant-backup backup    --repository file:///srv/backups --secret-key-file secret.key --source /home
  tenant-backup snapshots --repository file:///srv/backups --secret-key-file secret.key
  tenant-backup restore   --repository file:///srv/backups --secret-key-file secret.key --snapshot latest --target /tmp/out

Keep the secret key apart from the backups: without it nobody can open them.

Exit status: 0 done, 1 failed, 2 wrong command line, 3 done but content is missing, 4 locked by another program,
5 the key does not fit, 6 damaged, 130 and 143 stopped by a signal.`;

/** What follows each command's help. */
export const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  init: [
    'tenant-backup init --repository file:///srv/backups --secret-key-file secret.key',
    `tenant-backup init --repository "${STORE}" --kms aws:alias/backups`,
  ],
  backup: [
    'tenant-backup backup --repository file:///srv/backups --secret-key-file secret.key --source /home',
    `tenant-backup backup --repository "${STORE}" --kms aws:alias/backups --source /srv/data --exclude '*.tmp' --tag app=shop`,
    'pg_dumpall | tenant-backup backup --repository file:///srv/backups --secret-key-file secret.key --stdin-filename /streams/postgres.sql',
  ],
  snapshots: ['tenant-backup snapshots --repository file:///srv/backups --secret-key-file secret.key'],
  ls: ['tenant-backup ls --repository file:///srv/backups --secret-key-file secret.key --snapshot latest'],
  restore: [
    'tenant-backup restore --repository file:///srv/backups --secret-key-file secret.key --snapshot latest --target /tmp/out',
    "tenant-backup restore … --snapshot 4f3a21c0 --subtree /home --target /home --include '*.odt'",
    'tenant-backup restore … --snapshot latest --subtree /home --target /home --delete-extra --dry-run',
  ],
  check: [
    'tenant-backup check --repository file:///srv/backups --secret-key-file secret.key',
    'tenant-backup check --repository file:///srv/backups --secret-key-file secret.key --read-data-subset 10%',
  ],
  forget: [
    'tenant-backup forget --repository file:///srv/backups --secret-key-file secret.key 4f3a21c0',
    'tenant-backup forget --repository file:///srv/backups --secret-key-file secret.key --keep-last 7 --prune',
  ],
  prune: ['tenant-backup prune --repository file:///srv/backups --secret-key-file secret.key --dry-run'],
  export: ['tenant-backup export --repository file:///srv/backups --snapshot latest --output backup.tar', 'mkdir repo && tar xf backup.tar -C repo && restic -r repo --no-lock restore latest --target out'],
  import: ['tenant-backup import --input backup.tar --repository file:///srv/imported'],
  copy: [
    'tenant-backup copy --from file:///srv/backups --to file:///mnt/disk/backups',
    `tenant-backup copy --from file:///srv/backups --to "${STORE}" --lock compliance --retain-for 30d`,
  ],
  replicate: [`tenant-backup replicate --from "s3://backups?endpoint=https://a.example.com" --to "s3://copies?endpoint=https://b.example.com" --lock compliance --retain-for 30d`],
  collect: [`tenant-backup collect --repository "s3://copies?endpoint=https://b.example.com" --retain-for 30d --dry-run`],
  create: ['tenant-backup key create --output secret.key'],
  list: ['tenant-backup audit list --repository "s3://backups/tenants/TENANT?endpoint=https://a.example.com"'],
  verify: [`tenant-backup audit verify --repository "s3://backups/tenants/TENANT?endpoint=https://a.example.com" --replica "s3://copies/tenants/TENANT?endpoint=https://b.example.com"`],
  rotate: [`tenant-backup key rotate --repository "s3://backups/tenants/TENANT/g1?endpoint=https://s3.example.com" --kms aws:alias/here --kms aws:alias/there`],
  rewrap: [`tenant-backup key rewrap --repository "s3://backups/tenants/TENANT?endpoint=https://s3.example.com" --kms aws:alias/old --to-kms aws:alias/new`],
  'show-wrapped': [`tenant-backup key show-wrapped --repository "${STORE}"`],
};

/** The examples of one command as its help shows them. */
export function examplesOf(name: string): string {
  const lines = EXAMPLES[name] ?? [];
  return lines.length === 0 ? '' : `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

/**
 * An option that must be given. The command's schema says so where it is not, after commander has looked for options that it does not know:
 * its own check would come first, and call `--repository` missing where `--repositry` is given.
 */
export class NeededOption extends Option {}

/** Says which options must be given. */
export const HELP: HelpConfiguration = {
  optionDescription(option) {
    const text = Help.prototype.optionDescription.call(this, option);
    return option instanceof NeededOption ? `${text} (required)` : text;
  },
};
