import { byteString, byteStringFromBytes, byteStringFromText, type ByteString } from '../../src/restic/format/byte-string.ts';
import * as c from '../../src/restic/fs/libc-constants.ts';
import type { Libc } from '../../src/restic/fs/libc.ts';
import { deviceNumber } from '../../src/restic/fs/statx.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { TreeWriter } from './tree-writer.ts';

const levels = 120;
const mebibyte = 1024 * 1024;

/**
 * Everything that a backup program is known to lose, below `nasty/`.
 * @param beyondRestic also what restic cannot keep: sockets, paths longer than PATH_MAX, times beyond 2262; and, before 0.16, link targets that
 *   are not UTF-8 and attributes of symlinks
 */
export function buildNastyCorner(writer: TreeWriter, libc: Libc, root: number, random: SeededRandom, beyondRestic: boolean): void {
  const corner = byteString('nasty');
  const at = writer.directory(root, corner);
  names(writer, at);
  links(writer, libc, at, random);
  specials(writer, libc, at);
  modes(writer, libc, at, random);
  times(writer, at);
  attributes(writer, at, random);
  sizes(writer, at, random);
  depth(writer, libc, at, random, beyondRestic ? '-deep'.repeat(6) : '');
  if (beyondRestic) unkept(writer, libc, at);
  writer.seal(root, corner, at, random);
}

function names(writer: TreeWriter, at: number): void {
  const odd: readonly ByteString[] = [
    byteStringFromBytes(Buffer.from([0xff, 0xfe, 0x80])),
    byteStringFromBytes(Buffer.from('latin-\xe4\xf6\xfc', 'latin1')),
    byteStringFromBytes(Buffer.from([0x61, 0xed, 0xa0, 0x80])),
    byteStringFromText('über-größe-日本語-😀'),
    byteStringFromText('é (combining), \u202e bidi, \u200b zero width'),
    byteString('tab\tnewline\nreturn\rbell\x07escape\x1bdelete\x7f'),
    byteString('\x01'),
    byteString('quote"backslash\\slash-like\\x2f'),
    byteString("single'quote`back $HOME ${x} $(y) *?[a]{b}"),
    byteString(' leading and trailing '),
    byteString('-rf'),
    byteString('...'),
    byteString('\\xff'),
    byteString('&<>'),
    byteStringFromText('\u2028\u2029\ufeff'),
    byteString('n'.repeat(255)),
    byteStringFromText('ü'.repeat(127)),
  ];
  for (const name of odd) writer.file(at, name, Buffer.from(name, 'latin1'));
}

function links(writer: TreeWriter, libc: Libc, at: number, random: SeededRandom): void {
  libc.makeSymlinkAt(byteString('nowhere'), at, byteString('link-dangling'));
  libc.makeSymlinkAt(byteString('/etc/passwd'), at, byteString('link-absolute'));
  libc.makeSymlinkAt(byteString('../../../../outside'), at, byteString('link-outward'));
  libc.makeSymlinkAt(byteString('link-loop'), at, byteString('link-loop'));
  libc.makeSymlinkAt(byteString('t'.repeat(4000)), at, byteString('link-long'));
  for (const [index, name] of ['link-dangling', 'link-absolute'].entries()) {
    writer.orNot(() => libc.chownAt(at, byteString(name), 1000 + index, 33));
    writer.times(at, byteString(name), { seconds: 1_234_567_890 + index, nanoseconds: 123_456_789 });
  }
  const first = byteString('hard-1');
  writer.file(at, first, random.bytes(3000));
  writer.dress(at, first, random);
  const elsewhere = byteString('hard-elsewhere');
  const directory = writer.directory(at, elsewhere);
  libc.linkAt(at, first, at, byteString('hard-2'));
  libc.linkAt(at, first, directory, byteString('hard-3'));
  writer.seal(at, elsewhere, directory, random);
  const empty = byteString('hard-empty-1');
  writer.file(at, empty, Buffer.alloc(0));
  libc.linkAt(at, empty, at, byteString('hard-empty-2'));
}

function specials(writer: TreeWriter, libc: Libc, at: number): void {
  libc.makeNodeAt(at, byteString('fifo'), c.S_IFIFO | 0o620, 0);
  writer.orNot(() => libc.makeNodeAt(at, byteString('null'), c.S_IFCHR | 0o666, deviceNumber(1, 3)));
  writer.orNot(() => libc.makeNodeAt(at, byteString('wide-device'), c.S_IFCHR | 0o600, deviceNumber(511, 1_000_000)));
  writer.orNot(() => libc.makeNodeAt(at, byteString('loop'), c.S_IFBLK | 0o660, deviceNumber(7, 200)));
  writer.orNot(() => libc.makeNodeAt(at, byteString('whiteout'), c.S_IFCHR, 0));
  writer.times(at, byteString('fifo'), { seconds: 1_400_000_000, nanoseconds: 1 });
}

function modes(writer: TreeWriter, libc: Libc, at: number, random: SeededRandom): void {
  for (const mode of [0o4755, 0o2755, 0o1644, 0o6711, 0o7777, 0o000, 0o111]) {
    const name = byteString(`mode-${mode.toString(8).padStart(4, '0')}`);
    writer.file(at, name, random.text(100));
    if (mode % 2 === 1) writer.orNot(() => libc.chownAt(at, name, 1234, 4321));
    chmod(libc, at, name, mode);
  }
  for (const mode of [0o1777, 0o2750, 0o000, 0o500]) {
    const name = byteString(`directory-${mode.toString(8).padStart(4, '0')}`);
    const descriptor = writer.directory(at, name);
    writer.file(descriptor, byteString('inside'), Buffer.from('inside'));
    libc.chmod(descriptor, mode);
    writer.seal(at, name, descriptor, random);
  }
  libc.close(writer.directory(at, byteString('directory-empty')));
}

function chmod(libc: Libc, at: number, name: ByteString, mode: number): void {
  const descriptor = libc.openAt(at, name, c.O_WRONLY);
  libc.chmod(descriptor, mode);
  libc.close(descriptor);
}

function times(writer: TreeWriter, at: number): void {
  const points: readonly (readonly [string, number, number])[] = [
    ['zero', 0, 0],
    ['before-1970', -1, 999_999_999],
    ['1901', -2_147_483_648, 1],
    ['2038', 2_147_483_648, 500_000_000],
    ['2200', 7_258_118_400, 123_456_700],
  ];
  for (const [label, seconds, nanoseconds] of points) timedFile(writer, at, label, seconds, nanoseconds);
}

function timedFile(writer: TreeWriter, at: number, label: string, seconds: number, nanoseconds: number): void {
  const name = byteString(`time-${label}`);
  writer.file(at, name, Buffer.from(label));
  writer.times(at, name, { seconds, nanoseconds });
}

/** What restic does not keep, or did not for long: see `buildNastyCorner`. */
function unkept(writer: TreeWriter, libc: Libc, at: number): void {
  libc.makeNodeAt(at, byteString('socket'), c.S_IFSOCK | 0o700, 0);
  writer.times(at, byteString('socket'), { seconds: 1_400_000_000, nanoseconds: 1 });
  libc.makeSymlinkAt(byteStringFromBytes(Buffer.from([0x2e, 0x2f, 0xff, 0xfe])), at, byteString('link-bytes'));
  const link = byteString('xattr-symlink');
  libc.makeSymlinkAt(byteString('xattr-user'), at, link);
  writer.xattr(at, link, 'trusted.on-a-link', Buffer.from('yes'));
  timedFile(writer, at, '2400', 13_569_465_600, 123_456_700);
  timedFile(writer, at, '2446', 15_032_385_535, 999_999_999);
}

function attributes(writer: TreeWriter, at: number, random: SeededRandom): void {
  const user = byteString('xattr-user');
  writer.file(at, user, Buffer.from('x'));
  writer.xattr(at, user, 'user.empty', Buffer.alloc(0));
  writer.xattr(at, user, 'user.binary', random.bytes(200));
  writer.xattr(at, user, byteStringFromText('user.größe'), Buffer.from('a name beyond ASCII'));
  writer.xattr(at, user, 'trusted.overlay.opaque', Buffer.from('y'));
  const acl = byteString('xattr-acl');
  writer.file(at, acl, Buffer.from('acl'));
  writer.xattr(at, acl, 'system.posix_acl_access', posixAcl());
  const directory = byteString('xattr-acl-directory');
  const descriptor = writer.directory(at, directory);
  writer.file(descriptor, byteString('before'), Buffer.from('made before the default ACL'));
  writer.xattr(at, directory, 'system.posix_acl_access', posixAcl());
  writer.xattr(at, directory, 'system.posix_acl_default', posixAcl());
  writer.file(descriptor, byteString('after'), Buffer.from('inherits an ACL'));
  writer.xattr(at, directory, 'user.on-a-directory', Buffer.from('yes'));
  writer.seal(at, directory, descriptor, random);
  const capable = byteString('xattr-capability');
  writer.file(at, capable, Buffer.from('#!/bin/true'));
  writer.orNot(() => writer.libc.chownAt(at, capable, 33, 33));
  writer.xattr(at, capable, 'security.capability', netBindService());
}

/** u::rw- u:1000:r-- g::r-- g:33:rw- m::rw- o::r--, as `linux/posix_acl_xattr.h` lays it out. */
function posixAcl(): Buffer {
  const none = 0xffff_ffff;
  const entries = [[0x01, 6, none], [0x02, 4, 1000], [0x04, 4, none], [0x08, 6, 33], [0x10, 6, none], [0x20, 4, none]] as const;
  const acl = Buffer.alloc(4 + entries.length * 8);
  acl.writeUInt32LE(2, 0);
  for (const [index, [tag, permissions, id]] of entries.entries()) {
    acl.writeUInt16LE(tag, 4 + index * 8);
    acl.writeUInt16LE(permissions, 6 + index * 8);
    acl.writeUInt32LE(id, 8 + index * 8);
  }
  return acl;
}

/** cap_net_bind_service=ep, revision 2 (`linux/capability.h`). */
function netBindService(): Buffer {
  const value = Buffer.alloc(20);
  value.writeUInt32LE(0x0200_0001, 0);
  value.writeUInt32LE(1 << 10, 4);
  return value;
}

function sizes(writer: TreeWriter, at: number, random: SeededRandom): void {
  writer.file(at, byteString('empty'), Buffer.alloc(0));
  writer.file(at, byteString('one-byte'), Buffer.from('1'));
  writer.file(at, byteString('big-random'), random.bytes(5 * mebibyte + 17));
  writer.file(at, byteString('big-text'), random.text(3 * mebibyte));
  writer.file(at, byteString('zeros'), Buffer.alloc(2 * mebibyte));
  writer.file(at, byteString('sparse-whole'), Buffer.alloc(0), 0, 64 * mebibyte);
  const sparse = byteString('sparse-islands');
  writer.file(at, sparse, random.bytes(5000), 0, 48 * mebibyte + 5);
  writer.append(at, sparse, random.bytes(100_000), 20 * mebibyte);
  writer.append(at, sparse, random.bytes(10), 48 * mebibyte - 5);
}

function depth(writer: TreeWriter, libc: Libc, at: number, random: SeededRandom, suffix: string): void {
  const chain: { readonly above: number; readonly name: ByteString; readonly own: number }[] = [];
  let above = at;
  for (let level = 0; level < levels; level++) {
    const name = byteString(`level-${String(level)}${suffix}`);
    const own = writer.directory(above, name);
    chain.push({ above, name, own });
    above = own;
  }
  writer.file(above, byteString('bottom'), Buffer.from('the bottom'));
  for (const { above: directory, name, own } of chain.reverse()) {
    libc.close(own);
    writer.times(directory, name, { seconds: 1_500_000_000 + random.below(1000), nanoseconds: random.below(1_000_000_000) });
  }
}
