#include "dicom/web/multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

#define BUFFER_BYTES 131072U

/* DESIGN: `buffer` holds what was fed and is not judged yet. In data, all of it is handed on but the tail that could be
 * the begin of a delimiter; a delimiter is judged when the two bytes behind it are there. */

enum state { PREAMBLE, DELIMITER_END, HEADER, DATA, EPILOGUE };

struct lvn_multipart {
  struct lvn_multipart_handler handler;
  char delimiter[LVN_MULTIPART_BOUNDARY_MAX + 4]; /* "\n--boundary" */
  size_t delimiter_bytes;
  enum state state;
  char content_type[256]; /* of the part whose header is read */
  size_t header_bytes;
  size_t skipped; /* bytes at the begin of the buffer that are none of the data: the line end before it */
  size_t held;
  char buffer[BUFFER_BYTES];
};

bool lvn_multipart_create(const char *boundary, const struct lvn_multipart_handler *handler,
                          struct lvn_multipart **ret_multipart, struct lvn_error *err) {
  size_t length = strlen(boundary);
  if (length == 0 || length > LVN_MULTIPART_BOUNDARY_MAX || strpbrk(boundary, "\r\n") != NULL) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the answer's parts have no boundary");
  }
  struct lvn_multipart *multipart = lvn_alloc(1, sizeof *multipart, err);
  if (multipart == NULL) {
    return false;
  }
  multipart->handler = *handler;
  multipart->delimiter_bytes = (size_t)snprintf(multipart->delimiter, sizeof multipart->delimiter, "\n--%s", boundary);
  multipart->buffer[0] = '\n'; /* so that the first delimiter is like the others */
  multipart->held = 1;
  *ret_multipart = multipart;
  return true;
}

void lvn_multipart_destroy(struct lvn_multipart *multipart) {
  lvn_free(multipart);
}

static void drop(struct lvn_multipart *multipart, size_t bytes) {
  multipart->held -= bytes;
  memmove(multipart->buffer, multipart->buffer + bytes, multipart->held);
}

static bool hand_on(struct lvn_multipart *m, size_t bytes, struct lvn_error *err) {
  size_t skipped = m->skipped < bytes ? m->skipped : bytes;
  m->skipped -= skipped;
  return m->state != DATA || bytes == skipped ||
         m->handler.data(m->handler.user_data, m->buffer + skipped, bytes - skipped, err);
}

/* Preamble and data, up to a delimiter. *ret_waits: more bytes are needed to go on. */
static bool find_delimiter(struct lvn_multipart *m, bool *ret_waits, struct lvn_error *err) {
  const char *found = memmem(m->buffer, m->held, m->delimiter, m->delimiter_bytes);
  if (found == NULL) {
    /* The delimiter and the CR before it may have begun. */
    size_t keep = m->delimiter_bytes < m->held ? m->delimiter_bytes : m->held;
    size_t whole = m->held - keep;
    if (!hand_on(m, whole, err)) {
      return false;
    }
    drop(m, whole);
    *ret_waits = true;
    return true;
  }
  size_t at = (size_t)(found - m->buffer);
  size_t end = at + m->delimiter_bytes;
  if (m->held < end + 2) {
    *ret_waits = true;
    return true;
  }
  const char *after = m->buffer + end;
  if (strchr("\r\n \t", after[0]) == NULL && !(after[0] == '-' && after[1] == '-')) {
    end = at + 1; /* a longer line that begins alike */
    if (!hand_on(m, end, err)) {
      return false;
    }
    drop(m, end);
    return true;
  }
  if (!hand_on(m, at > 0 && m->buffer[at - 1] == '\r' ? at - 1 : at, err) ||
      (m->state == DATA && !m->handler.end(m->handler.user_data, err))) {
    return false;
  }
  m->state = DELIMITER_END;
  drop(m, end);
  return true;
}

static bool end_delimiter(struct lvn_multipart *m, bool *ret_waits, struct lvn_error *err) {
  if (m->held >= 2 && m->buffer[0] == '-' && m->buffer[1] == '-') {
    m->state = EPILOGUE;
    return true;
  }
  const char *line_end = memchr(m->buffer, '\n', m->held);
  size_t blanks = 0;
  while (blanks < m->held && m->buffer[blanks] != '\0' && strchr(" \t\r", m->buffer[blanks]) != NULL) {
    blanks++;
  }
  if (line_end == NULL ? blanks < m->held || m->held > LVN_MULTIPART_HEADER_MAX
                       : blanks < (size_t)(line_end - m->buffer)) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a boundary between the answer's parts is malformed");
  }
  if (line_end == NULL) {
    *ret_waits = true;
    return true;
  }
  drop(m, blanks + 1);
  m->state = HEADER;
  m->header_bytes = 0;
  m->content_type[0] = '\0';
  return true;
}

/* One line of a part's header. */
static bool take_header(struct lvn_multipart *m, bool *ret_waits, struct lvn_error *err) {
  char *line_end = memchr(m->buffer, '\n', m->held);
  size_t line = line_end == NULL ? m->held : (size_t)(line_end - m->buffer) + 1;
  if (m->header_bytes + line > LVN_MULTIPART_HEADER_MAX) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a part's header is longer than %u bytes", LVN_MULTIPART_HEADER_MAX);
  }
  if (line_end == NULL) {
    *ret_waits = true;
    return true;
  }
  m->header_bytes += line;
  *line_end = '\0';
  size_t length = strcspn(m->buffer, "\r");
  m->buffer[length] = '\0';
  bool is_last = m->buffer[0] == '\0';
  if (strncasecmp(m->buffer, "Content-Type:", 13) == 0) {
    (void)lvn_copy(m->content_type, sizeof m->content_type, m->buffer + 13 + strspn(m->buffer + 13, " \t"));
  }
  if (is_last) {
    if (!m->handler.begin(m->handler.user_data, m->content_type, err)) {
      return false;
    }
    m->state = DATA;
    m->buffer[--line] = '\n'; /* a part without data has its delimiter at once */
    m->skipped = 1;
  }
  drop(m, line);
  return true;
}

static bool digest(struct lvn_multipart *m, struct lvn_error *err) {
  bool waits = false;
  while (!waits && m->held > 0 && m->state != EPILOGUE) {
    bool good = m->state == DELIMITER_END ? end_delimiter(m, &waits, err)
                : m->state == HEADER      ? take_header(m, &waits, err)
                                          : find_delimiter(m, &waits, err);
    if (!good) {
      return false;
    }
  }
  m->held = m->state == EPILOGUE ? 0 : m->held;
  return true;
}

bool lvn_multipart_feed(struct lvn_multipart *multipart, const void *data, size_t bytes, struct lvn_error *err) {
  const char *at = data;
  while (bytes > 0) {
    size_t room = sizeof multipart->buffer - multipart->held;
    size_t count = bytes < room ? bytes : room;
    memcpy(multipart->buffer + multipart->held, at, count);
    multipart->held += count;
    at += count;
    bytes -= count;
    if (!digest(multipart, err)) {
      return false;
    }
  }
  return true;
}

bool lvn_multipart_finish(struct lvn_multipart *multipart, struct lvn_error *err) {
  return multipart->state == EPILOGUE ||
         lvn_error_set(err, LVN_ERROR_PROTOCOL, "the answer ends in the middle: its last boundary is missing");
}
