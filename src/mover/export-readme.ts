import type { Manifest } from './manifest.ts';

/**
 * What a customer finds first in the downloaded file. Its text depends on the manifest alone, for the file's bytes must never
 * differ. Whoever changes a word changes every file: bump nothing, for resumed downloads end with the release.
 */
export function exportReadme(manifest: Pick<Manifest, 'snapshot' | 'createdAt' | 'complete'>): string {
  const { snapshot, createdAt, complete } = manifest;
  return `Ihr Backup / your backup
========================

Snapshot ${snapshot}
${createdAt}${complete ? '' : '\nNicht vollständig: einige Dateien waren nicht lesbar. / Incomplete: some files could not be read.'}

Deutsch
-------
Diese Datei ist Ihr Backup, vollständig verschlüsselt. Ohne Ihren geheimen Schlüssel kann niemand sie lesen, auch wir nicht.
Bewahren Sie sie unverändert auf; Sie können sie uns jederzeit zum Einspielen zurückgeben.

Sie können sie auch ohne uns öffnen. Das freie Programm restic (https://restic.net, ab Version 0.14; auch rustic) liest sie:

    mkdir repo
    tar xf DATEI.tar -C repo
    restic -r repo --no-lock restore latest --target ausgabe

Das Passwort, nach dem restic fragt, ist Ihr geheimer Schlüssel. Er beginnt mit tbk1-. Die Geschäftsführung kann ihn
anfordern ("Geheimen Schlüssel anfordern"). Nach dem Entpacken prüft
"restic -r repo --no-lock check --read-data", ob jedes Byte unversehrt ist.

English
-------
This file is your backup, encrypted as a whole. Nobody can read it without your secret key, and neither can we. Keep it as it
is; you can hand it back to us at any time to have it restored.

You can also open it without us. The free program restic (https://restic.net, version 0.14 or later; rustic, too) reads it:

    mkdir repo
    tar xf FILE.tar -C repo
    restic -r repo --no-lock restore latest --target out

The password that restic asks for is your secret key. It begins with tbk1-. Your managing director can request it. Once it is
unpacked, "restic -r repo --no-lock check --read-data" verifies every byte.
`;
}
