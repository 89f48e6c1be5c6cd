/* From a file to a configuration. inih splits the lines; the reader below gives it one line at a time, so that the
 * number of the line at fault is known, a line that inih's buffer would cut in two is refused, and an indented line is
 * a line like any other (inih would append it to the key above). */
#include "base/file.h"
#include "base/memory.h"
#include "config/config_keys.h"

#include <errno.h>
#include <string.h>

#include <fcntl.h>
#include <ini.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINES_MAX 20000
#define MISTAKES_MAX 100 /* a file that is no configuration has one in every line */

struct reading {
  FILE *stream;
  const char *name;
  struct lvn_config *config;
  const char *section; /* of lvn_config_sections; NULL before the first heading and behind a wrong one */
  void *record;        /* where the section's keys are */
  bool *is_wrong;      /* what a mistake in the section marks */
  unsigned line;
  unsigned peer_lines[LVN_CONFIG_PEERS_MAX];
  unsigned webhook_lines[LVN_CONFIG_WEBHOOKS_MAX];
  struct lvn_config_places places;
  bool seen[LVN_CONFIG_KEYS_MAX]; /* by number of the key; those of a named section start anew with each name */
  size_t mistakes;
  lvn_config_mistake_visitor visit; /* NULL: the first one is enough */
  void *user_data;
  struct lvn_error *err; /* the first mistake */
};

/* A mistake is told and the reading goes on: one look finds them all. */
static void tell_mistake(void *user_data, unsigned line, const char *text) {
  struct reading *reading = user_data;
  struct lvn_error one = {0};
  (void)lvn_error_set(&one, LVN_ERROR_USAGE, "%s", text);
  (void)(line > 0 ? lvn_error_prefix(&one, "%s:%u", reading->name, line) : lvn_error_prefix(&one, "%s", reading->name));
  if (reading->mistakes++ == 0) {
    *reading->err = one;
  }
  if (reading->visit != NULL) {
    reading->visit(reading->user_data, one.message);
  }
}

static bool fail(struct reading *reading, const char *word, const char *suggestion) {
  char text[512];
  (void)snprintf(text, sizeof text, "%s%s%s", word, suggestion != NULL ? "; did you mean " : "",
                 suggestion != NULL ? suggestion : "");
  tell_mistake(reading, reading->line, text);
  *reading->is_wrong = true;
  return false;
}

static bool fail_unknown_section(struct reading *reading, const char *name) {
  const char *names[16];
  char message[128];
  size_t count = 0;
  for (size_t i = 0; i < lvn_config_section_count && count < 16; i++) {
    names[count++] = lvn_config_sections[i].name;
  }
  (void)snprintf(message, sizeof message, "unknown section [%s]", name);
  return fail(reading, message, lvn_config_suggest(name, names, count));
}

static bool is_name(const char *name) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  size_t length = strlen(name);
  return length >= 1 && length <= 40 && strspn(name, allowed) == length;
}

/* The name of [SECTION "NAME"], copied. */
static bool read_name(struct reading *reading, const char *section, const char *quoted, char *ret_name,
                      size_t name_bytes) {
  char message[128];
  size_t length = strlen(quoted);
  if (length < 3 || quoted[0] != '"' || quoted[length - 1] != '"' || length - 2 >= name_bytes) {
    (void)snprintf(message, sizeof message, "a %s's section is written [%s \"NAME\"]", section, section);
    return fail(reading, message, NULL);
  }
  memcpy(ret_name, quoted + 1, length - 2);
  ret_name[length - 2] = '\0';
  if (!is_name(ret_name)) {
    (void)snprintf(message, sizeof message, "a %s's name has 1 to 40 letters, digits, hyphens, underscores or dots",
                   section);
    return fail(reading, message, NULL);
  }
  return true;
}

static void begin_record(struct reading *reading, const char *section, void *record, bool *is_wrong) {
  reading->section = section;
  reading->record = record;
  reading->is_wrong = is_wrong;
  lvn_config_set_defaults(section, record);
  for (size_t i = 0; i < lvn_config_key_count; i++) {
    if (strcmp(lvn_config_keys[i].section, section) == 0) {
      reading->seen[i] = false;
    }
  }
}

static bool enter_peer(struct reading *reading, const char *quoted) {
  struct lvn_config *config = reading->config;
  char name[sizeof config->peers[0].name];
  if (!read_name(reading, LVN_CONFIG_PEER_SECTION, quoted, name, sizeof name)) {
    return false;
  }
  if (lvn_config_find_peer(config, name) != NULL) {
    return fail(reading, "a peer of this name was defined above", NULL);
  }
  if (config->peer_count == LVN_CONFIG_PEERS_MAX) {
    return fail(reading, "more than 64 peers", NULL);
  }
  reading->peer_lines[config->peer_count] = reading->line;
  bool *is_wrong = &reading->places.peer_is_wrong[config->peer_count];
  struct lvn_config_peer *peer = &config->peers[config->peer_count++];
  begin_record(reading, LVN_CONFIG_PEER_SECTION, peer, is_wrong);
  (void)lvn_copy(peer->name, sizeof peer->name, name);
  return true;
}

static bool enter_webhook(struct reading *reading, const char *quoted) {
  struct lvn_config *config = reading->config;
  char name[sizeof config->webhooks[0].name];
  if (!read_name(reading, LVN_CONFIG_WEBHOOK_SECTION, quoted, name, sizeof name)) {
    return false;
  }
  if (lvn_config_find_webhook(config, name) != NULL) {
    return fail(reading, "a webhook of this name was defined above", NULL);
  }
  if (config->webhook_count == LVN_CONFIG_WEBHOOKS_MAX) {
    return fail(reading, "more than 16 webhooks", NULL);
  }
  reading->webhook_lines[config->webhook_count] = reading->line;
  bool *is_wrong = &reading->places.webhook_is_wrong[config->webhook_count];
  struct lvn_config_webhook *webhook = &config->webhooks[config->webhook_count++];
  begin_record(reading, LVN_CONFIG_WEBHOOK_SECTION, webhook, is_wrong);
  (void)lvn_copy(webhook->name, sizeof webhook->name, name);
  return true;
}

/* `heading` is what stands between the brackets. */
static bool enter_section(struct reading *reading, const char *heading) {
  size_t word = strcspn(heading, " \t\"");
  const char *rest = heading + word + strspn(heading + word, " \t");
  if (word == strlen(LVN_CONFIG_PEER_SECTION) && strncmp(heading, LVN_CONFIG_PEER_SECTION, word) == 0) {
    return enter_peer(reading, rest);
  }
  if (word == strlen(LVN_CONFIG_WEBHOOK_SECTION) && strncmp(heading, LVN_CONFIG_WEBHOOK_SECTION, word) == 0) {
    return enter_webhook(reading, rest);
  }
  reading->record = reading->config;
  for (size_t i = 0; i < lvn_config_section_count; i++) {
    if (strcmp(lvn_config_sections[i].name, heading) == 0) {
      reading->section = lvn_config_sections[i].name;
      return true;
    }
  }
  return fail_unknown_section(reading, heading);
}

static bool read_heading(struct reading *reading, const char *line) {
  char heading[64];
  size_t length = strcspn(line + 1, "]");
  reading->record = reading->config;
  reading->is_wrong = &reading->places.is_wrong;
  reading->section = NULL;
  if (line[1 + length] != ']') {
    return fail(reading, "a section's heading ends with ]", NULL);
  }
  if (length >= sizeof heading) {
    return fail(reading, "a section's heading is too long", NULL);
  }
  memcpy(heading, line + 1, length);
  heading[length] = '\0';
  return enter_section(reading, heading);
}

static void skip_rest_of_line(FILE *stream) {
  int c = 0;
  do {
    c = fgetc(stream);
  } while (c != EOF && c != '\n');
}

/* What inih shall not see is an empty line to it. */
static bool check_line(struct reading *reading, char *text) {
  bool good = true;
  if (text[0] == '[') {
    good = read_heading(reading, text);
    reading->places.has_wrong_heading = reading->places.has_wrong_heading || !good;
  } else if (text[0] != ';' && text[0] != '#' && text[0] != '\n' && text[0] != '\r' && text[0] != '\0' &&
             strpbrk(text, "=:") == NULL) {
    good = fail(reading, "neither a comment nor [section] nor key = value", NULL);
  }
  return good;
}

/* ini_reader: as fgets(), NULL ends the reading. */
static char *read_line(char *text, int text_bytes, void *user) {
  struct reading *reading = user;
  size_t length = 0;
  size_t blanks = 0;
  if (reading->mistakes >= MISTAKES_MAX || fgets(text, text_bytes, reading->stream) == NULL) {
    return NULL;
  }
  reading->line++;
  length = strlen(text);
  if (reading->line > LINES_MAX || length == 0) {
    (void)fail(reading, "the line is longer than 190 characters, or not text", NULL);
    return NULL;
  }
  if (text[length - 1] != '\n' && !feof(reading->stream)) {
    (void)fail(reading, "the line is longer than 190 characters, or not text", NULL);
    skip_rest_of_line(reading->stream);
    (void)lvn_copy(text, (size_t)text_bytes, "\n");
    return text;
  }
  if (reading->line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0) {
    memmove(text, text + 3, length - 2);
    length -= 3;
  }
  blanks = strspn(text, " \t");
  memmove(text, text + blanks, length - blanks + 1);
  if (!check_line(reading, text)) {
    (void)lvn_copy(text, (size_t)text_bytes, "\n");
  }
  return text;
}

static bool fail_unknown_key(struct reading *reading, const char *name) {
  const char *names[64];
  char message[160];
  size_t count = 0;
  for (size_t i = 0; i < lvn_config_key_count && count < 64; i++) {
    if (strcmp(lvn_config_keys[i].section, reading->section) == 0) {
      names[count++] = lvn_config_keys[i].name;
    }
  }
  (void)snprintf(message, sizeof message, "unknown key '%s' in section [%s]", name, reading->section);
  return fail(reading, message, lvn_config_suggest(name, names, count));
}

/* Lists may be quoted as a habit of other programs; quotes around the whole value are taken off. */
static void unquote(char *value) {
  size_t length = strlen(value);
  if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
    memmove(value, value + 1, length - 2);
    value[length - 2] = '\0';
  }
}

/* "port = 104 # the PACS", as many programs allow it: inih knows ; alone. */
static void cut_comment(char *value) {
  char *at = value[0] == '"' && strchr(value + 1, '"') != NULL ? strchr(value + 1, '"') + 1 : value;
  for (; *at != '\0'; at++) {
    if (*at == '#' && at > value && (at[-1] == ' ' || at[-1] == '\t')) {
      while (at > value && (at[-1] == ' ' || at[-1] == '\t')) {
        at--;
      }
      *at = '\0';
      return;
    }
  }
}

static bool set_value(struct reading *reading, const char *name, const char *text) {
  char value[LVN_CONFIG_TEXT_BYTES];
  if (reading->section == NULL) {
    return reading->places.has_wrong_heading || fail(reading, "a key before the first [section]", NULL);
  }
  if (!lvn_copy(value, sizeof value, text)) {
    return fail(reading, "the value is too long", NULL);
  }
  cut_comment(value);
  unquote(value);
  for (size_t i = 0; i < lvn_config_key_count; i++) {
    const struct lvn_config_key *key = &lvn_config_keys[i];
    if (strcmp(key->section, reading->section) != 0 || strcmp(key->name, name) != 0) {
      continue;
    }
    if (reading->seen[i]) {
      return fail(reading, "the key was given above already", NULL);
    }
    reading->seen[i] = true;
    if (reading->record == reading->config) {
      reading->places.key_lines[i] = reading->line;
    }
    struct lvn_error wrong = {0};
    return lvn_config_key_set(key, reading->record, value, &wrong) || fail(reading, wrong.message, NULL);
  }
  return fail_unknown_key(reading, name);
}

static int on_value(void *user, const char *section, const char *name, const char *value) {
  struct reading *reading = user;
  (void)section; /* known from the heading, which inih would cut at 49 characters */
  (void)set_value(reading, name, value);
  return 1;
}

static bool parse(FILE *stream, const char *name, struct reading *reading, struct lvn_config *config,
                  struct lvn_error *err) {
  int bad_line = 0;
  reading->stream = stream;
  reading->name = name;
  reading->config = config;
  reading->err = err;
  reading->record = config;
  reading->is_wrong = &reading->places.is_wrong;
  reading->places.peer_lines = reading->peer_lines;
  reading->places.webhook_lines = reading->webhook_lines;
  lvn_config_set_defaults(NULL, config);
  bad_line = ini_parse_stream(read_line, reading, on_value, reading);
  if (ferror(stream)) {
    return lvn_error_set_errno(err, errno, "cannot read %s", name);
  }
  if (bad_line > 0) {
    tell_mistake(reading, (unsigned)bad_line, "neither a comment nor [section] nor key = value");
  }
  if (reading->mistakes < MISTAKES_MAX) {
    lvn_config_check(config, &reading->places, tell_mistake, reading);
  }
  return reading->mistakes == 0;
}

bool lvn_config_parse(FILE *stream, const char *name, lvn_config_mistake_visitor visit, void *user_data,
                      struct lvn_config *ret_config, struct lvn_error *err) {
  LVN_AUTOFREE struct reading *reading = lvn_alloc(1, sizeof *reading, err);
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, err);
  if (reading == NULL || config == NULL) {
    return false;
  }
  reading->visit = visit;
  reading->user_data = user_data;
  if (!parse(stream, name, reading, config, err)) {
    return false;
  }
  *ret_config = *config;
  return true;
}

static void close_stream(FILE **stream) {
  if (*stream != NULL) {
    (void)fclose(*stream); /* read only: nothing can be lost */
  }
}

bool lvn_config_load(const char *path, struct lvn_config *ret_config, struct lvn_error *err) {
  return lvn_config_load_all(path, NULL, NULL, ret_config, err);
}

bool lvn_config_load_all(const char *path, lvn_config_mistake_visitor visit, void *user_data,
                         struct lvn_config *ret_config, struct lvn_error *err) {
  LVN_CLEANUP(close_stream) FILE *stream = NULL;
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot open the configuration %s", path);
  }
  if (S_ISDIR(status.st_mode)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "%s is a folder, not a configuration file", path);
  }
  stream = fdopen(fd, "r");
  if (stream == NULL) {
    return lvn_error_set_errno(err, errno, "cannot open the configuration %s", path);
  }
  fd = -1; /* the stream closes it */
  return lvn_config_parse(stream, path, visit, user_data, ret_config, err);
}
