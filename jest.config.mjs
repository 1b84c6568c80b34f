// One project per test tier, so that each can be run alone: `npm run jest -- --selectProjects unit`.
const tier = (name, options = {}) => ({
  displayName: name,
  // The cluster of .cluster/ keeps files of its own that end in .snap; Jest would take them for obsolete snapshots.
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' } }],
  },
  testEnvironment: 'node',
  ...options,
});

export default {
  projects: [tier('unit'), tier('contract'), tier('interop'), tier('integration'), tier('e2e'), tier('chaos')],
  testTimeout: 60_000,
};
