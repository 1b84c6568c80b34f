import tseslint from 'typescript-eslint';
import importX from 'eslint-plugin-import-x';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';

// Imports run one way: `api → decide → controller → cmd` and `storage → restic → mover → cmd`; `keys` stands beside
// `restic` under `mover`, `audit` on `api` and `storage`; `kube` stands under `controller` and `bridge`. What a folder may not import is named here, and nowhere else.
const mayImport = {
  api: [],
  decide: ['api'],
  kube: ['api'],
  controller: ['api', 'decide', 'kube'],
  storage: [],
  restic: ['storage'],
  keys: ['storage'],
  audit: ['api', 'storage'],
  mover: ['api', 'storage', 'restic', 'keys'],
  bridge: ['api', 'kube'],
  cmd: ['api', 'decide', 'kube', 'controller', 'storage', 'restic', 'keys', 'audit', 'mover', 'bridge'],
};
const folders = Object.keys(mayImport);
const zones = folders.flatMap((folder) =>
  folders
    .filter((other) => other !== folder && !mayImport[folder].includes(other))
    .map((other) => ({
      target: `./src/${folder}`,
      from: `./src/${other}`,
      message: `src/${folder} may import only ${mayImport[folder].join(', ') || 'nothing of ours'} (CONTRIBUTING.md, "Layers")`,
    })),
);

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.cluster*/**', 'coverage/**', '.bench/**'] },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver-next': [createTypeScriptImportResolver({ project: './tsconfig.json' })] },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones }],
      'import-x/no-cycle': 'error',
      'import-x/no-default-export': 'error',
      'import-x/no-extraneous-dependencies': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-invalid-void-type': 'off',
      'max-lines': ['warn', { max: 350, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ['test/**/*.ts', 'scripts/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', 'import-x/no-extraneous-dependencies': 'off' },
  },
);
