#include "base/process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

bool lvn_process_enter_child(const char *process_name, pid_t parent_pid, bool blocks_hangup) {
  sigset_t blocked;
  for (int i = 1; i < NSIG; i++) {
    (void)signal(i, SIG_DFL); /* refused for SIGKILL, SIGSTOP and libc's own, which is fine */
  }
  (void)prctl(PR_SET_NAME, process_name);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)signal(SIGPIPE, SIG_IGN); /* a peer that goes away is an error of its connection */
  (void)sigemptyset(&blocked);
  if (blocks_hangup) {
    (void)sigaddset(&blocked, SIGHUP);
  }
  (void)sigprocmask(SIG_SETMASK, &blocked, NULL);
  return getppid() == parent_pid; /* it may have died before PR_SET_PDEATHSIG */
}

void lvn_process_tell_ready(void) {
  const char *text = getenv("LVN_READY_FD");
  if (text == NULL) {
    return;
  }
  char *end = NULL;
  long fd = strtol(text, &end, 10); /* allow: our own supervisor wrote it; checked below */
  if (end != text && *end == '\0' && fd > STDERR_FILENO) {
    (void)!write((int)fd, "1", 1);
    (void)close((int)fd);
  }
  (void)unsetenv("LVN_READY_FD");
}

const char *lvn_process_describe_end(int wait_status, char *text, size_t text_bytes) {
  if (WIFSIGNALED(wait_status)) {
    (void)snprintf(text, text_bytes, "signal=%d", WTERMSIG(wait_status));
  } else {
    (void)snprintf(text, text_bytes, "exit=%d", WEXITSTATUS(wait_status));
  }
  return text;
}
