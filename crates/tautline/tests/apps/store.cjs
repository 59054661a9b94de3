// A Bolt app's file store, filled as Bolt for JavaScript does it when Slack answers an install.
const { FileInstallationStore } = require('@slack/oauth');

const [baseDir, answer] = process.argv.slice(2);
const { team, enterprise, authed_user: user, ...bot } = JSON.parse(answer);

new FileInstallationStore({ baseDir }).storeInstallation({
  team,
  enterprise: enterprise ?? undefined,
  user: { token: user.access_token, scopes: user.scope, id: user.id },
  bot: { scopes: bot.scope.split(','), token: bot.access_token, userId: bot.bot_user_id, id: 'B0LD' },
  tokenType: bot.token_type,
  isEnterpriseInstall: bot.is_enterprise_install,
  appId: bot.app_id,
  authVersion: 'v2',
});
