/**
 * Commands of git that only look, for sessions that must not change anything: the CLI lets `ls` and `cat` pass by itself, but
 * asks for git's in a worktree of ours (measured with CLI 2.1.330). What is not plainly one of them is none: no quoting, no
 * expansion, no option that is not listed (git takes any beginning of an option's name for it). Pure.
 */

/** Words that mean themselves in every shell. No `*`: a file may be named like an option. */
const PLAIN_WORD = /^[\w./:@^~=+,%-]+$/;

const COMMANDS = new Set(
  'blame cat-file describe diff log ls-files ls-tree merge-base rev-list rev-parse shortlog show status'.split(' '),
);
const FLAGS = new Set(
  (
    '-- -p -u -s -w -b -z -n -t -e -M -a -r -v -sb ' +
    '--abbrev-ref --all --branch --cached --date-order --decorate --first-parent --follow --full-index --graph ' +
    '--ignore-all-space --ignore-space-change --is-ancestor --merge-base --merges --name-only --name-status --no-color ' +
    '--no-merges --no-patch --no-renames --numstat --oneline --others --exclude-standard --patch --porcelain --reverse ' +
    '--short --shortstat --show-toplevel --staged --stat --summary --tags --topo-order --word-diff'
  ).split(' '),
);
const FLAGS_WITH_VALUE =
  /^(-\d+|-[nUML][\w,:./-]+|--(abbrev|author|date|diff-filter|format|grep|max-count|pretty|since|skip|stat|unified|until)=.+)$/;
const BRANCHES = /^git branch( (-a|-r|-v|-vv|--all|--list|--remotes|--show-current))*$/;
/** What the output may be passed on to. */
const SHORTENS = /^((head|tail)( -n)?( -?\d+)?|wc( -l)?|cat)$/;

/** @param command as given to the Bash tool; several may be joined by `&&` or `;`, and each be shortened by `head` and the like */
export function isLookingCommand(command: string): boolean {
  const text = command.trim();
  if (/[\n\r]/.test(text)) return false;
  return text.split(/&&|;/).every((part) => {
    const [first = '', ...rest] = part.split('|').map((each) => each.trim());
    return isLooking(first) && rest.every((next) => SHORTENS.test(next));
  });
}

function isLooking(command: string): boolean {
  if (BRANCHES.test(command)) return true;
  const [program, subcommand = '', ...words] = command.split(/ +/);
  if (program !== 'git' || !COMMANDS.has(subcommand)) return false;
  return words.every(
    (word) => PLAIN_WORD.test(word) && (!word.startsWith('-') || FLAGS.has(word) || FLAGS_WITH_VALUE.test(word)),
  );
}
