#include "cli/alert.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#define RUN_SECONDS 30.0
#define POLL_SECONDS 0.05
#define MAIL_WORDS_MAX 16

/* Its own process group, so that what it started can be ended with it; signals as a program expects them. */
static bool spawn(char *const *words, int input_fd, pid_t *ret_pid, struct lvn_error *err) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t defaults;
  int code = 0;
  (void)sigemptyset(&defaults);
  (void)sigaddset(&defaults, SIGPIPE);
  if (posix_spawn_file_actions_init(&actions) != 0 || posix_spawnattr_init(&attributes) != 0 ||
      posix_spawn_file_actions_adddup2(&actions, input_fd, STDIN_FILENO) != 0 ||
      posix_spawnattr_setsigdefault(&attributes, &defaults) != 0 || posix_spawnattr_setpgroup(&attributes, 0) != 0 ||
      posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) != 0) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a process");
  }
  code = posix_spawn(ret_pid, words[0], &actions, &attributes, words, environ);
  (void)posix_spawn_file_actions_destroy(&actions);
  (void)posix_spawnattr_destroy(&attributes);
  return code == 0 || lvn_error_set_errno(err, code, "%s cannot be run", words[0]);
}

static bool await(const char *name, pid_t pid, struct lvn_error *err) {
  double until = lvn_clock_monotonic_seconds() + RUN_SECONDS;
  int status = 0;
  pid_t ended = 0;
  while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && lvn_clock_monotonic_seconds() < until) {
    lvn_clock_sleep_seconds(POLL_SECONDS);
  }
  if (ended == 0) {
    (void)kill(-pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return lvn_error_set(err, LVN_ERROR_TIMEOUT, "%s took longer than %.0f s and was ended", name, RUN_SECONDS);
  }
  return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
         lvn_error_set(err, LVN_ERROR_IO, "%s ended with exit status %d", name,
                       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* The text lies in a file without a name: a program that does not read it holds nobody up. */
static bool run(char *const *words, const char *text, struct lvn_error *err) {
  LVN_AUTOCLOSE int input = memfd_create("alert", MFD_CLOEXEC);
  size_t length = strlen(text);
  pid_t pid = 0;
  if (input < 0 || write(input, text, length) != (ssize_t)length || lseek(input, 0, SEEK_SET) != 0) {
    return lvn_error_set_errno(err, errno, "the alert's text cannot be passed on");
  }
  return spawn(words, input, &pid, err) && await(words[0], pid, err);
}

/* The addresses hold neither blanks nor a leading hyphen: the configuration's check has seen to it. */
static bool mail(const struct lvn_config *config, const char *subject, const char *text, struct lvn_error *err) {
  char list[LVN_CONFIG_TEXT_BYTES];
  char sendmail[LVN_CONFIG_TEXT_BYTES];
  char ignore_dots[] = "-i";
  char *words[MAIL_WORDS_MAX + 3] = {sendmail, ignore_dots};
  size_t count = 2;
  char *rest = NULL;
  (void)lvn_copy(list, sizeof list, config->alert_mail);
  (void)lvn_copy(sendmail, sizeof sendmail, config->alert_sendmail);
  for (char *word = strtok_r(list, ", \t", &rest); word != NULL && count < MAIL_WORDS_MAX + 2;
       word = strtok_r(NULL, ", \t", &rest)) {
    words[count++] = word;
  }
  LVN_AUTOFREE char *message = lvn_format(err,
                                          "To: %s\nSubject: %s\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"
                                          "Content-Type: text/plain; charset=utf-8\n\n%s",
                                          config->alert_mail, subject, text);
  return message != NULL && run(words, message, err);
}

static bool run_command(const struct lvn_config *config, const char *occasion, const char *subject, const char *text,
                        struct lvn_error *err) {
  char command[LVN_CONFIG_TEXT_BYTES];
  char argument[256];
  char *words[] = {command, argument, NULL};
  (void)lvn_copy(command, sizeof command, config->alert_command);
  (void)lvn_copy(argument, sizeof argument, subject);
  return (setenv("LIVERVLM_ALERT", occasion, 1) == 0 || lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory")) &&
         run(words, text, err);
}

bool lvn_alert_tell(const struct lvn_config *config, const char *occasion, const char *subject, const char *text,
                    struct lvn_error *err) {
  struct lvn_error second = {0};
  if (config->alert_command[0] == '\0' && config->alert_mail[0] == '\0') {
    return lvn_error_set(err, LVN_ERROR_USAGE, "nobody is told: [alerts] alert_command and alert_mail are empty");
  }
  bool commanded = config->alert_command[0] == '\0' || run_command(config, occasion, subject, text, err);
  bool mailed = config->alert_mail[0] == '\0' || mail(config, subject, text, commanded ? err : &second);
  return commanded && mailed;
}
