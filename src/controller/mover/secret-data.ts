/** Files of JSON as a Secret holds them. @param files - contents by name */
export function secretData(files: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, value]) => [name, Buffer.from(JSON.stringify(value)).toString('base64')]));
}
