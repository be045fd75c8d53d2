// Runs before everything else, on whatever Node there is: plain old JavaScript, no dependency. One line for each thing
// that is missing, saying what to do. Called with the name of the npm script.
'use strict';

var execFileSync = require('node:child_process').execFileSync;

var step = process.argv[2];
var problems = [];
var version = process.versions.node;
var major = Number(version.split('.')[0]);

if (step === 'install') {
  if (major < 20) {
    problems.push(`Node ${version} is too old to install Cyrus: install Node 20 or later (https://nodejs.org).`);
  }
} else {
  // npm scripts find the Node 24 that npm installed for this platform; elsewhere the machine's own must do.
  if (major < 24) {
    problems.push(
      'Node ' +
        version +
        ' runs this script, and Cyrus needs 24: run `npm install` without --omit=optional, or install Node 24.',
    );
  }
  try {
    execFileSync('git', ['--version'], { stdio: 'ignore' });
  } catch (error) {
    problems.push(`git is missing (${error.code}): install it, e.g. \`apt-get install git\`.`);
  }
}

problems.forEach((problem) => {
  console.error(`cyrus: ${problem}`);
});
if (problems.length > 0) process.exit(1);
