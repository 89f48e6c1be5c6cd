#include "cli/owner.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void name_user(uid_t user, char *ret_name, size_t name_bytes) {
  char text[4096];
  struct passwd entry;
  struct passwd *found = NULL;
  if (getpwuid_r(user, &entry, text, sizeof text, &found) == 0 && found != NULL) {
    (void)snprintf(ret_name, name_bytes, "%.80s", found->pw_name);
  } else {
    (void)snprintf(ret_name, name_bytes, "'#%lu'", (unsigned long)user);
  }
}

/* The groups of root go too, or what they may read would be read by nobody else later. */
static bool become(const struct stat *status) {
  return setgroups(1, &status->st_gid) == 0 && setegid(status->st_gid) == 0 && seteuid(status->st_uid) == 0;
}

bool lvn_cli_act_as_owner(const char *state_folder, const char *command, struct lvn_error *err) {
  struct stat status;
  char name[96];
  if (stat(state_folder, &status) != 0 || status.st_uid == geteuid()) {
    return true;
  }
  if (geteuid() == 0 ? become(&status) : access(state_folder, W_OK) == 0) {
    return true;
  }
  name_user(status.st_uid, name, sizeof name);
  return lvn_error_set(err, LVN_ERROR_USAGE, "'%.300s' belongs to the user %s; type: sudo -u %s livervlm %s",
                       state_folder, name, name, command);
}
