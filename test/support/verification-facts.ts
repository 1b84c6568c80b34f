// What policies of tests say of their verification, where it is not what is tested.
import type { BackupPolicySpec } from '../../src/api/index.ts';
import type { VerificationPlan } from '../../src/decide/index.ts';

export const VERIFICATION: BackupPolicySpec['verification'] = { interval: '7d', readDataPercent: 10, sampleFiles: 50, scratchSize: '1Gi', suspend: false };

export const NOT_VERIFIED: VerificationPlan = {
  status: undefined,
  lastVerified: undefined,
  condition: { type: 'Verified', status: 'Unknown', reason: 'NotVerifiedYet', message: 'It comes.' },
};
