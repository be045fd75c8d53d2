import { expect, test } from 'vitest';
import { isLookingCommand } from '../../container/claude/read-only-commands.ts';

test.each([
  'git diff',
  'git diff main...HEAD --stat',
  'git log --oneline -20',
  'git log -p -3 -- src/cart.js',
  'git show HEAD~1:src/cart.js',
  'git status --short && git diff --cached',
  'git log --format=%h | head -n 5',
  'git blame -L1,20 src/cart.js',
  'git branch --show-current',
  'git log --since=2026-01-01 --author=ada; git rev-parse HEAD',
])('a command that only looks runs without a question: %s', (command) => expect(isLookingCommand(command)).toBe(true));

test.each([
  'git diff --output=made.txt',
  'git diff --outp=made.txt',
  'git log -omade.txt',
  'git diff *',
  'git diff "$(touch made.txt)"',
  'git diff `touch made.txt`',
  'git diff > made.txt',
  'git log | tee made.txt',
  'git log | sh',
  'git -c core.pager=touch log',
  'git --exec-path=. log',
  'git grep -Otouch x',
  'git diff --ext-diff',
  'git branch made',
  'git branch -D main',
  'git checkout main',
  'git stash',
  'GIT_EXTERNAL_DIFF=touch git diff',
  'git diff & touch made.txt',
  'git diff\ntouch made.txt',
  'git diff || touch made.txt',
  'git diff {a,--output=made.txt}',
  'git log --format=$(id)',
  'touch made.txt',
  'git',
  '',
])('a command that may change something is no looking: %s', (command) => expect(isLookingCommand(command)).toBe(false));
