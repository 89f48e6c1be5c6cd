#include "model/text/wordpiece.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define VOCABULARY_BYTES_MAX (64U * 1024U * 1024U)
#define WORD_CHARACTERS_MAX 100U
#define CHARACTER_BYTES_MAX 4U
#define WORD_BYTES (WORD_CHARACTERS_MAX * CHARACTER_BYTES_MAX + 3U)
#define REPLACEMENT 0xFFFDU

struct entry {
  const char *text;
  int64_t id;
};

struct lvn_wordpiece {
  uint8_t *file; /* its line ends replaced by NUL */
  struct entry *entries;
  size_t count;
  int64_t unknown;
  int64_t start;
  int64_t end;
};

/* U+00C0 to U+017F in lower case without their marks (UnicodeData.txt: canonical decomposition, category Mn left out).
 */
static const uint16_t latin_base[] = {
    0x061, 0x061, 0x061, 0x061, 0x061, 0x061, 0x0e6, 0x063, 0x065, 0x065, 0x065, 0x065, 0x069, 0x069, 0x069, 0x069,
    0x0f0, 0x06e, 0x06f, 0x06f, 0x06f, 0x06f, 0x06f, 0x0d7, 0x0f8, 0x075, 0x075, 0x075, 0x075, 0x079, 0x0fe, 0x0df,
    0x061, 0x061, 0x061, 0x061, 0x061, 0x061, 0x0e6, 0x063, 0x065, 0x065, 0x065, 0x065, 0x069, 0x069, 0x069, 0x069,
    0x0f0, 0x06e, 0x06f, 0x06f, 0x06f, 0x06f, 0x06f, 0x0f7, 0x0f8, 0x075, 0x075, 0x075, 0x075, 0x079, 0x0fe, 0x079,
    0x061, 0x061, 0x061, 0x061, 0x061, 0x061, 0x063, 0x063, 0x063, 0x063, 0x063, 0x063, 0x063, 0x063, 0x064, 0x064,
    0x111, 0x111, 0x065, 0x065, 0x065, 0x065, 0x065, 0x065, 0x065, 0x065, 0x065, 0x065, 0x067, 0x067, 0x067, 0x067,
    0x067, 0x067, 0x067, 0x067, 0x068, 0x068, 0x127, 0x127, 0x069, 0x069, 0x069, 0x069, 0x069, 0x069, 0x069, 0x069,
    0x069, 0x131, 0x133, 0x133, 0x06a, 0x06a, 0x06b, 0x06b, 0x138, 0x06c, 0x06c, 0x06c, 0x06c, 0x06c, 0x06c, 0x140,
    0x140, 0x142, 0x142, 0x06e, 0x06e, 0x06e, 0x06e, 0x06e, 0x06e, 0x149, 0x14b, 0x14b, 0x06f, 0x06f, 0x06f, 0x06f,
    0x06f, 0x06f, 0x153, 0x153, 0x072, 0x072, 0x072, 0x072, 0x072, 0x072, 0x073, 0x073, 0x073, 0x073, 0x073, 0x073,
    0x073, 0x073, 0x074, 0x074, 0x074, 0x074, 0x167, 0x167, 0x075, 0x075, 0x075, 0x075, 0x075, 0x075, 0x075, 0x075,
    0x075, 0x075, 0x075, 0x075, 0x077, 0x077, 0x079, 0x079, 0x079, 0x07a, 0x07a, 0x07a, 0x07a, 0x07a, 0x07a, 0x17f,
};

static int compare_entries(const void *left, const void *right) {
  return strcmp(((const struct entry *)left)->text, ((const struct entry *)right)->text);
}

/* -1 when it is not in the vocabulary. */
static int64_t find(const struct lvn_wordpiece *wordpiece, const char *text) {
  struct entry key = {.text = text};
  const struct entry *entry =
      bsearch(&key, wordpiece->entries, wordpiece->count, sizeof *wordpiece->entries, compare_entries);
  return entry == NULL ? -1 : entry->id;
}

static size_t split_lines(char *text, size_t bytes, struct entry *entries) {
  size_t count = 0;
  char *line = text;
  for (size_t i = 0; i <= bytes; i++) {
    if (i < bytes && text[i] != '\n') {
      continue;
    }
    text[i] = '\0';
    if (i > 0 && text + i > line && text[i - 1] == '\r') {
      text[i - 1] = '\0';
    }
    if (i < bytes || text + i > line) {
      if (entries != NULL) {
        entries[count] = (struct entry){.text = line, .id = (int64_t)count};
      }
      count++;
    }
    line = text + i + 1;
  }
  return count;
}

static bool load(struct lvn_wordpiece *wordpiece, const char *path, struct lvn_error *err) {
  size_t bytes = 0;
  size_t lines = 1;
  if (!lvn_file_read(path, VOCABULARY_BYTES_MAX, &wordpiece->file, &bytes, err)) {
    return false;
  }
  for (size_t i = 0; i < bytes; i++) {
    lines += wordpiece->file[i] == '\n';
  }
  wordpiece->entries = lvn_alloc(lines, sizeof *wordpiece->entries, err);
  if (wordpiece->entries == NULL) {
    return false;
  }
  wordpiece->count = split_lines((char *)wordpiece->file, bytes, wordpiece->entries);
  qsort(wordpiece->entries, wordpiece->count, sizeof *wordpiece->entries, compare_entries);
  wordpiece->unknown = find(wordpiece, "[UNK]");
  wordpiece->start = find(wordpiece, "[CLS]");
  wordpiece->end = find(wordpiece, "[SEP]");
  if (wordpiece->unknown < 0 || wordpiece->start < 0 || wordpiece->end < 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%.200s' is not a WordPiece vocabulary: no [UNK], [CLS] or [SEP]", path);
  }
  return true;
}

bool lvn_wordpiece_open(const char *path, struct lvn_wordpiece **ret_wordpiece, struct lvn_error *err) {
  struct lvn_wordpiece *wordpiece = lvn_alloc(1, sizeof *wordpiece, err);
  if (wordpiece == NULL) {
    return false;
  }
  if (!load(wordpiece, path, err)) {
    lvn_wordpiece_close(wordpiece);
    return false;
  }
  *ret_wordpiece = wordpiece;
  return true;
}

void lvn_wordpiece_close(struct lvn_wordpiece *wordpiece) {
  if (wordpiece != NULL) {
    lvn_free(wordpiece->entries);
    lvn_free(wordpiece->file);
    lvn_free(wordpiece);
  }
}

size_t lvn_wordpiece_size(const struct lvn_wordpiece *wordpiece) {
  return wordpiece->count;
}

/* One code point, REPLACEMENT for a malformed byte; advances past it. */
static uint32_t next_character(const unsigned char **text) {
  const unsigned char *p = *text;
  unsigned length = p[0] < 0x80U ? 1 : p[0] >= 0xF0U ? 4 : p[0] >= 0xE0U ? 3 : 2;
  uint32_t character = length == 1 ? p[0] : p[0] & (0x7FU >> length);
  for (unsigned i = 1; i < length; i++) {
    if ((p[i] & 0xC0U) != 0x80U) {
      *text = p + 1;
      return REPLACEMENT;
    }
    character = (character << 6U) | (p[i] & 0x3FU);
  }
  *text = p + length;
  return p[0] >= 0x80U && p[0] < 0xC2U ? REPLACEMENT : character;
}

static size_t put_character(uint32_t character, char *target) {
  if (character < 0x80U) {
    target[0] = (char)character;
    return 1;
  }
  size_t length = character < 0x800U ? 2 : character < 0x10000U ? 3 : 4;
  for (size_t i = length - 1; i > 0; i--) {
    target[i] = (char)(0x80U | (character & 0x3FU));
    character >>= 6U;
  }
  target[0] = (char)((0xF00U >> length) | character);
  return length;
}

static bool is_space(uint32_t c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0xA0U || c == 0x1680U ||
         (c >= 0x2000U && c <= 0x200AU) || c == 0x202FU || c == 0x205FU || c == 0x3000U;
}

static bool is_dropped(uint32_t c) {
  return c == REPLACEMENT || c < 0x20U || (c >= 0x7FU && c < 0xA0U) || c == 0xADU || (c >= 0x0300U && c <= 0x036FU) ||
         (c >= 0x200BU && c <= 0x200FU) || c == 0xFEFFU;
}

/* ASCII symbols count as punctuation, too; the rest is category P of the blocks that Western text uses. */
static bool is_punctuation(uint32_t c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126) || c == 0xA1U ||
         c == 0xA7U || c == 0xABU || c == 0xB6U || c == 0xB7U || c == 0xBBU || c == 0xBFU ||
         (c >= 0x2010U && c <= 0x2027U) || (c >= 0x2030U && c <= 0x205EU && c != 0x2044U && c != 0x2052U) ||
         (c >= 0x3001U && c <= 0x3003U) || (c >= 0x3008U && c <= 0x3011U);
}

static bool is_cjk(uint32_t c) {
  return (c >= 0x4E00U && c <= 0x9FFFU) || (c >= 0x3400U && c <= 0x4DBFU) || (c >= 0x20000U && c <= 0x2A6DFU) ||
         (c >= 0x2A700U && c <= 0x2CEAFU) || (c >= 0xF900U && c <= 0xFAFFU) || (c >= 0x2F800U && c <= 0x2FA1FU);
}

static uint32_t fold(uint32_t c) {
  if (c >= 'A' && c <= 'Z') {
    return c + ('a' - 'A');
  }
  if (c >= 0xC0U && c < 0xC0U + sizeof latin_base / sizeof latin_base[0]) {
    return latin_base[c - 0xC0U];
  }
  return c;
}

struct output {
  int64_t *ids;
  size_t count;
  size_t max_count;
  bool overflow;
};

static void put_id(struct output *output, int64_t id) {
  if (output->count == output->max_count) {
    output->overflow = true;
    return;
  }
  output->ids[output->count++] = id;
}

/* Greedy longest match from the left; a word with a part that no token covers is one [UNK]. */
static void put_word(const struct lvn_wordpiece *wordpiece, const char *word, size_t bytes, size_t characters,
                     struct output *output) {
  size_t before = output->count;
  size_t first = 0;
  if (bytes == 0) {
    return;
  }
  while (first < bytes && characters <= WORD_CHARACTERS_MAX) {
    char piece[WORD_BYTES + 2];
    size_t prefix = first > 0 ? 2 : 0;
    size_t length = bytes - first;
    int64_t id = -1;
    memcpy(piece, "##", prefix);
    for (; length > 0; length--) {
      memcpy(piece + prefix, word + first, length);
      piece[prefix + length] = '\0';
      id = find(wordpiece, piece);
      if (id >= 0) {
        break;
      }
    }
    if (id < 0) {
      break;
    }
    put_id(output, id);
    first += length;
  }
  if (first < bytes) {
    output->count = before;
    put_id(output, wordpiece->unknown);
  }
}

bool lvn_wordpiece_encode(const struct lvn_wordpiece *wordpiece, const char *text, size_t max_count, int64_t *ret_ids,
                          size_t *ret_count, struct lvn_error *err) {
  struct output output = {.ids = ret_ids, .max_count = max_count};
  const unsigned char *next = (const unsigned char *)text;
  char word[WORD_BYTES];
  size_t bytes = 0;
  size_t characters = 0;
  put_id(&output, wordpiece->start);
  while (*next != '\0') {
    uint32_t character = fold(next_character(&next));
    bool alone = is_punctuation(character) || is_cjk(character);
    if (alone || is_space(character)) {
      put_word(wordpiece, word, bytes, characters, &output);
      bytes = 0;
      characters = 0;
    }
    if (is_space(character) || is_dropped(character)) {
      continue;
    }
    characters++;
    if (characters <= WORD_CHARACTERS_MAX) {
      bytes += put_character(character, word + bytes);
    }
    if (alone) {
      put_word(wordpiece, word, bytes, characters, &output);
      bytes = 0;
      characters = 0;
    }
  }
  put_word(wordpiece, word, bytes, characters, &output);
  put_id(&output, wordpiece->end);
  if (output.overflow) {
    return lvn_error_set(err, LVN_ERROR_DATA, "text has more than %zu tokens", max_count);
  }
  *ret_count = output.count;
  return true;
}
