/** Variables and secrets of a deployment, as an environment has them: enough for `readConfig`, and nothing more. */
export const valid = {
  ENVIRONMENT: 'production',
  PUBLIC_URL: '',
  CLAUDE_CREDENTIAL: 'subscription',
  CLAUDE_MODEL: 'sonnet',
  SANDBOX: 'container',
  SANDBOX_ENDPOINT_URL: '',
  LINEAR_API_URL: 'https://api.linear.app/graphql',
  ANTHROPIC_API_URL: 'https://api.anthropic.com/',
  WEBHOOK_MAX_AGE_HOURS: '8',
  SCRIPTED_MODEL: 'false',
  PAUSED: 'false',
  LINEAR_WEBHOOK_SECRET: 'lin_wh_0123456789',
  ENCRYPTION_KEY: btoa('0123456789abcdef0123456789abcdef'),
  ADMIN_TOKEN: 'an-admin-token-of-some-length',
  ACCESS_PASSWORD: 'a long password',
  CLAUDE_CODE_OAUTH_TOKEN: 'sk-ant-oat-1',
};
