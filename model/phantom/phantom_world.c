#include "model/phantom/phantom_world.h"

#include "base/file.h"
#include "base/memory.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_BYTES_MAX 65536U

static const char *const other_names[LVN_OTHER_COUNT] = {"none",
                                                         "metastasis",
                                                         "hypervascular-metastasis",
                                                         "cholangiocarcinoma",
                                                         "abscess",
                                                         "adenoma",
                                                         "fatty-sparing",
                                                         "focal-fat",
                                                         "perfusion-difference",
                                                         "cavity",
                                                         "normal-liver",
                                                         "vessel",
                                                         "liver-edge",
                                                         "spleen",
                                                         "gallbladder",
                                                         "kidney",
                                                         "stomach"};

const char *lvn_phantom_other_name(enum lvn_phantom_other other) {
  return other_names[other];
}

enum lvn_phantom_other lvn_phantom_other_from_name(const char *name) {
  for (int i = 1; i < LVN_OTHER_COUNT; i++) {
    if (strcasecmp(name, other_names[i]) == 0) {
      return (enum lvn_phantom_other)i;
    }
  }
  return LVN_OTHER_NONE;
}

/* "lesser" and "greater": what `both` worlds state must not meet. */
static const struct key {
  const char *section;
  const char *name;
  size_t offset;
  double minimum;
  double maximum;
  double low; /* when the file does not say */
  double high;
  bool is_kept_apart;
} keys[] = {
#define KEY(section, field, minimum, maximum, low, high, apart)                                                        \
  { section, #field, offsetof(struct lvn_phantom_world, field), minimum, maximum, low, high, apart }
    KEY("patient", size, 0.7, 1.4, 0.88, 1.12, true),      KEY("patient", fat_mm, 2, 100, 7, 40, true),
    KEY("patient", liver_hu, 0, 90, 28, 66, true),         KEY("patient", nodularity, 0, 30, 0, 4, false),
    KEY("patient", enhancement, 0.3, 2.5, 0.7, 1.4, true), KEY("patient", lateness, -0.6, 1.8, 0, 1, true),
    KEY("patient", portal, 0.4, 1.3, 0.85, 1.05, true),    KEY("scanner", slice_thickness_mm, 0.5, 10, 1.25, 5.5, true),
    KEY("scanner", noise_hu, 0, 80, 7, 22, true),          KEY("scanner", noise_grain, 0.4, 2.5, 0.8, 1.4, true),
    KEY("scanner", field, 0.85, 2.0, 0.95, 1.3, false),    KEY("scanner", offset_hu, -20, 20, -3, 3, false),
    KEY("scanner", motion, 0, 2, 0, 1.2, false),           KEY("region", outline, 0.5, 2, 0.85, 1.3, false),
    KEY("region", corners, 4, 128, 8, 40, false),          KEY("region", off_mm, 0, 10, 0, 2, false),
    KEY("region", one_slice, 0, 1, 0.15, 0.15, false),     KEY("lesion", diameter_mm, 4, 120, 9, 80, false),
    KEY("lesion", contrast, 0.3, 2, 0.8, 1.2, true),       KEY("lesion", texture, 0, 4, 0.6, 1.5, true),
#undef KEY
};

static struct lvn_phantom_range *range_of(struct lvn_phantom_world *world, const struct key *key) {
  return (struct lvn_phantom_range *)(void *)((char *)world + key->offset);
}

double lvn_phantom_range_at(const struct lvn_phantom_range *range, double unit) {
  double first = range->high[0] - range->low[0];
  double second = range->high[1] - range->low[1];
  double along = unit * (first + second);
  return along <= first || second <= 0.0 ? range->low[0] + along : range->low[1] + along - first;
}

static bool has_second(const struct lvn_phantom_range *range) {
  return range->high[1] > range->low[1];
}

/* A bound that both share is no overlap. */
bool lvn_phantom_ranges_meet(const struct lvn_phantom_range *a, const struct lvn_phantom_range *b) {
  for (int i = 0; i < (has_second(a) ? 2 : 1); i++) {
    for (int k = 0; k < (has_second(b) ? 2 : 1); k++) {
      if (a->low[i] < b->high[k] && b->low[k] < a->high[i]) {
        return true;
      }
    }
  }
  return false;
}

void lvn_phantom_world_wide(struct lvn_phantom_world *ret_world) {
  *ret_world = (struct lvn_phantom_world){.is_wide = true, .name = "wide"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    *range_of(ret_world, &keys[i]) = (struct lvn_phantom_range){{keys[i].low, 0}, {keys[i].high, 0}};
  }
  for (int c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    ret_world->class_share[c] = 1.0;
  }
}

/* "A", "A to B" or "A to B, C to D". */
static bool parse_range(const struct key *key, const char *text, struct lvn_phantom_range *ret_range) {
  struct lvn_phantom_range range = {{0}, {0}};
  for (int i = 0; i < 2; i++) {
    char *end = NULL;
    range.low[i] = strtod(text, &end);
    range.high[i] = range.low[i];
    if (end == text) {
      return false;
    }
    text = end + strspn(end, " ");
    if (strncmp(text, "to ", 3) == 0) {
      range.high[i] = strtod(text + 3, &end);
      if (end == text + 3) {
        return false;
      }
      text = end + strspn(end, " ");
    }
    if (!(range.low[i] >= key->minimum && range.high[i] <= key->maximum && range.high[i] >= range.low[i])) {
      return false;
    }
    if (*text != ',' || i == 1) {
      break;
    }
    text++;
  }
  *ret_range = range;
  return *text == '\0';
}

static bool set_share(struct lvn_phantom_world *world, const char *name, const char *text) {
  char *end = NULL;
  double share = strtod(text, &end);
  enum lvn_class lesion_class = LVN_CLASS_CYST;
  enum lvn_phantom_other other = lvn_phantom_other_from_name(name);
  bool is_class =
      other == LVN_OTHER_NONE && lvn_class_from_name(name, &lesion_class) && lesion_class < LVN_CLASS_PAPER_COUNT;
  if (end == text || *end != '\0' || !(share >= 0.0 && share <= 1e6) || (!is_class && other == LVN_OTHER_NONE)) {
    return false;
  }
  if (is_class) {
    world->class_share[lesion_class] = share;
  } else {
    world->other_share[other] = share;
  }
  return true;
}

/* Called by inih; 0 stops with the line's number. */
static int set_value(void *context, const char *section, const char *name, const char *value) {
  struct lvn_phantom_world *world = context;
  if (strcmp(section, "world") == 0 && strcmp(name, "name") == 0) {
    return lvn_copy(world->name, sizeof world->name, value);
  }
  if (strcmp(section, "share") == 0) {
    return set_share(world, name, value);
  }
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    if (strcmp(section, keys[i].section) == 0 && strcmp(name, keys[i].name) == 0) {
      return parse_range(&keys[i], value, range_of(world, &keys[i]));
    }
  }
  return 0;
}

bool lvn_phantom_world_read(const char *path, struct lvn_phantom_world *ret_world, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *bytes = NULL;
  size_t count = 0;
  if (!lvn_file_read(path, FILE_BYTES_MAX, &bytes, &count, err)) {
    return false;
  }
  LVN_AUTOFREE char *text = lvn_alloc(count + 1, 1, err);
  if (text == NULL) {
    return false;
  }
  memcpy(text, bytes, count);
  lvn_phantom_world_wide(ret_world);
  int line = ini_parse_string(text, set_value, ret_world);
  return line == 0 || lvn_error_set(err, LVN_ERROR_USAGE,
                                    "%.300s:%d: not a range of a world that is known, or out of "
                                    "its bounds",
                                    path, line);
}

const char *lvn_phantom_worlds_meet(const struct lvn_phantom_world *a, const struct lvn_phantom_world *b) {
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    const struct lvn_phantom_range *left = (const void *)((const char *)a + keys[i].offset);
    const struct lvn_phantom_range *right = (const void *)((const char *)b + keys[i].offset);
    if (keys[i].is_kept_apart && lvn_phantom_ranges_meet(left, right)) {
      return keys[i].name;
    }
  }
  return NULL;
}

void lvn_phantom_world_choose(const struct lvn_phantom_world *world, double unit, enum lvn_class *ret_class,
                              enum lvn_phantom_other *ret_other) {
  double total = 0.0;
  double at = 0.0;
  for (int pass = 0; pass < 2; pass++) {
    double sum = 0.0;
    for (int i = 0; i < LVN_CLASS_PAPER_COUNT + LVN_OTHER_COUNT; i++) {
      sum += i < LVN_CLASS_PAPER_COUNT ? world->class_share[i] : world->other_share[i - LVN_CLASS_PAPER_COUNT];
      if (pass == 1 && sum > at) {
        *ret_class = i < LVN_CLASS_PAPER_COUNT ? (enum lvn_class)i : LVN_CLASS_OUTLIER;
        *ret_other = i < LVN_CLASS_PAPER_COUNT ? LVN_OTHER_NONE : (enum lvn_phantom_other)(i - LVN_CLASS_PAPER_COUNT);
        return;
      }
    }
    total = sum;
    at = unit * total;
  }
  *ret_class = LVN_CLASS_CYST;
  *ret_other = LVN_OTHER_NONE;
}
