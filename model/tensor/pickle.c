#include "model/tensor/pickle.h"

#include "base/memory.h"

#include <string.h>

#define VALUES_MAX 4000000U
#define MEMO_MAX 4000000U
#define MARK UINT32_MAX

struct machine {
  const uint8_t *data;
  size_t bytes;
  size_t used;
  struct lvn_pickle pickle;
  uint32_t *stack;
  size_t depth;
  size_t stack_capacity;
  uint32_t *memo;
  size_t memo_count;
  size_t memo_capacity;
  bool stopped;
  struct lvn_error *err;
};

static bool fail(struct machine *machine, const char *what) {
  (void)lvn_error_set(machine->err, LVN_ERROR_DATA, "pickle, byte %zu: %s", machine->used, what);
  return false;
}

static bool take(struct machine *machine, size_t bytes, const uint8_t **ret_data) {
  if (bytes > machine->bytes - machine->used) {
    return fail(machine, "the file ends too early");
  }
  *ret_data = machine->data + machine->used;
  machine->used += bytes;
  return true;
}

/* Little-endian, 1 to 8 bytes. */
static bool take_number(struct machine *machine, size_t bytes, uint64_t *ret_number) {
  const uint8_t *data = NULL;
  uint64_t number = 0;
  if (!take(machine, bytes, &data)) {
    return false;
  }
  for (size_t i = 0; i < bytes; i++) {
    number |= (uint64_t)data[i] << (8U * i);
  }
  *ret_number = number;
  return true;
}

static bool push_number(struct machine *machine, uint32_t value) {
  if (!lvn_grow(&machine->stack, &machine->stack_capacity, machine->depth, sizeof *machine->stack, VALUES_MAX,
                machine->err)) {
    return false;
  }
  machine->stack[machine->depth++] = value;
  return true;
}

static bool push(struct machine *machine, struct lvn_pickle_value value) {
  struct lvn_pickle *pickle = &machine->pickle;
  if (!lvn_grow(&pickle->values, &pickle->capacity, pickle->count, sizeof *pickle->values, VALUES_MAX, machine->err)) {
    lvn_free(value.items);
    return false;
  }
  pickle->values[pickle->count++] = value;
  return push_number(machine, (uint32_t)(pickle->count - 1));
}

static bool push_int(struct machine *machine, int64_t integer) {
  return push(machine, (struct lvn_pickle_value){.kind = LVN_PICKLE_INT, .integer = integer});
}

static bool pop(struct machine *machine, uint32_t *ret_value) {
  if (machine->depth == 0 || machine->stack == NULL || machine->pickle.values == NULL ||
      machine->stack[machine->depth - 1] == MARK) {
    return fail(machine, "an operation finds too few values");
  }
  *ret_value = machine->stack[--machine->depth];
  return true;
}

static bool append_item(struct machine *machine, struct lvn_pickle_value *value, uint32_t item) {
  if (!lvn_grow(&value->items, &value->capacity, value->count, sizeof *value->items, VALUES_MAX, machine->err)) {
    return false;
  }
  value->items[value->count++] = item;
  return true;
}

/* Stack position after the topmost mark. */
static bool find_mark(struct machine *machine, size_t *ret_first) {
  for (size_t i = machine->depth; i > 0; i--) {
    if (machine->stack[i - 1] == MARK) {
      *ret_first = i;
      return true;
    }
  }
  return fail(machine, "an operation finds no mark");
}

/* The stack's values from `first` on become one container. */
static bool push_container(struct machine *machine, enum lvn_pickle_kind kind, size_t first, size_t new_depth) {
  struct lvn_pickle_value value = {.kind = kind};
  for (size_t i = first; i < machine->depth; i++) {
    if (machine->stack[i] == MARK || !append_item(machine, &value, machine->stack[i])) {
      lvn_free(value.items);
      return machine->stack[i] == MARK ? fail(machine, "a mark inside a tuple") : false;
    }
  }
  machine->depth = new_depth;
  return push(machine, value);
}

static bool push_short_tuple(struct machine *machine, size_t count) {
  return machine->depth < count
             ? fail(machine, "a tuple finds too few values")
             : push_container(machine, LVN_PICKLE_TUPLE, machine->depth - count, machine->depth - count);
}

static bool push_marked(struct machine *machine, enum lvn_pickle_kind kind) {
  size_t first = 0;
  return find_mark(machine, &first) && push_container(machine, kind, first, first - 1);
}

/* SETITEMS, APPENDS and their single forms: the values from `first` on go into the container below. */
static bool extend(struct machine *machine, enum lvn_pickle_kind kind, size_t first, size_t new_depth) {
  if (new_depth == 0 || machine->stack == NULL || machine->stack[new_depth - 1] == MARK) {
    return fail(machine, "items without a container");
  }
  uint32_t container = machine->stack[new_depth - 1];
  if (machine->pickle.values[container].kind != kind ||
      (kind == LVN_PICKLE_DICT && (machine->depth - first) % 2 != 0)) {
    return fail(machine, "items for a container of another kind");
  }
  for (size_t i = first; i < machine->depth; i++) {
    if (machine->stack[i] == MARK) {
      return fail(machine, "a mark among items");
    }
    if (!append_item(machine, &machine->pickle.values[container], machine->stack[i])) {
      return false;
    }
  }
  machine->depth = new_depth;
  return true;
}

static bool extend_marked(struct machine *machine, enum lvn_pickle_kind kind) {
  size_t first = 0;
  return find_mark(machine, &first) && extend(machine, kind, first, first - 1);
}

static bool extend_by(struct machine *machine, enum lvn_pickle_kind kind, size_t count) {
  return machine->depth < count ? fail(machine, "items are missing")
                                : extend(machine, kind, machine->depth - count, machine->depth - count);
}

static bool push_text(struct machine *machine, size_t length_bytes) {
  uint64_t length = 0;
  const uint8_t *text = NULL;
  return take_number(machine, length_bytes, &length) &&
         (length <= machine->bytes || fail(machine, "a text is longer than the file")) &&
         take(machine, (size_t)length, &text) &&
         push(machine, (struct lvn_pickle_value){.kind = LVN_PICKLE_TEXT, .text = text, .length = (size_t)length});
}

/* LONG1: two's complement, little-endian. The magic number of old files has 10 bytes; what is beyond 8 is dropped after
 * a look that a size could not need it. */
static bool push_long(struct machine *machine) {
  uint64_t length = 0;
  uint64_t number = 0;
  const uint8_t *data = NULL;
  if (!take_number(machine, 1, &length) || !take(machine, (size_t)length, &data)) {
    return false;
  }
  for (size_t i = 0; i < 8; i++) {
    uint64_t fill = length > 0 && (data[length - 1] & 0x80U) != 0 ? 0xffU : 0U;
    number |= (i < length ? (uint64_t)data[i] : fill) << (8U * i);
  }
  return push_int(machine, (int64_t)number);
}

static bool memorise(struct machine *machine, uint64_t slot) {
  if (machine->depth == 0 || machine->stack[machine->depth - 1] == MARK || slot >= MEMO_MAX) {
    return fail(machine, "nothing to remember, or too much");
  }
  while (machine->memo_count <= slot) {
    if (!lvn_grow(&machine->memo, &machine->memo_capacity, machine->memo_count, sizeof *machine->memo, MEMO_MAX + 1,
                  machine->err)) {
      return false;
    }
    machine->memo[machine->memo_count++] = MARK;
  }
  machine->memo[slot] = machine->stack[machine->depth - 1];
  return true;
}

static bool recall(struct machine *machine, uint64_t slot) {
  if (slot >= machine->memo_count || machine->memo[slot] == MARK) {
    return fail(machine, "a reference to nothing");
  }
  return push_number(machine, machine->memo[slot]);
}

static bool is_text(const uint8_t *text, size_t length, const char *expected) {
  return strlen(expected) == length && memcmp(text, expected, length) == 0;
}

/* The allow-list. */
static bool push_global(struct machine *machine, const uint8_t *module, size_t module_length, const uint8_t *name,
                        size_t name_length) {
  static const struct {
    const char *module;
    const char *name;
    int64_t meaning;
  } globals[] = {
      {"collections", "OrderedDict", LVN_PICKLE_ORDERED_DICT},
      {"torch._utils", "_rebuild_tensor_v2", LVN_PICKLE_REBUILD_TENSOR},
      {"torch._utils", "_rebuild_parameter", LVN_PICKLE_REBUILD_PARAMETER},
      {"torch", "ByteStorage", LVN_DTYPE_U8},
      {"torch", "ShortStorage", LVN_DTYPE_I16},
      {"torch", "IntStorage", LVN_DTYPE_I32},
      {"torch", "LongStorage", LVN_DTYPE_I64},
      {"torch", "HalfStorage", LVN_DTYPE_F16},
      {"torch", "FloatStorage", LVN_DTYPE_F32},
  };
  for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++) {
    if (is_text(module, module_length, globals[i].module) && is_text(name, name_length, globals[i].name)) {
      return push(machine, (struct lvn_pickle_value){.kind = LVN_PICKLE_GLOBAL, .integer = globals[i].meaning});
    }
  }
  return lvn_error_set(machine->err, LVN_ERROR_DATA,
                       "pickle names '%.*s.%.*s', which is not among the few things that weights need: refused",
                       (int)(module_length < 80 ? module_length : 80), (const char *)module,
                       (int)(name_length < 80 ? name_length : 80), (const char *)name);
}

static bool take_line(struct machine *machine, const uint8_t **ret_text, size_t *ret_length) {
  const uint8_t *end = memchr(machine->data + machine->used, '\n', machine->bytes - machine->used);
  if (end == NULL) {
    return fail(machine, "a line does not end");
  }
  *ret_text = machine->data + machine->used;
  *ret_length = (size_t)(end - *ret_text);
  machine->used += *ret_length + 1;
  return true;
}

static bool push_global_lines(struct machine *machine) {
  const uint8_t *module = NULL;
  const uint8_t *name = NULL;
  size_t module_length = 0;
  size_t name_length = 0;
  return take_line(machine, &module, &module_length) && take_line(machine, &name, &name_length) &&
         push_global(machine, module, module_length, name, name_length);
}

static bool push_global_stack(struct machine *machine) {
  uint32_t name = 0;
  uint32_t module = 0;
  if (!pop(machine, &name) || !pop(machine, &module)) {
    return false;
  }
  const struct lvn_pickle_value *n = &machine->pickle.values[name];
  const struct lvn_pickle_value *m = &machine->pickle.values[module];
  return n->kind == LVN_PICKLE_TEXT && m->kind == LVN_PICKLE_TEXT
             ? push_global(machine, m->text, m->length, n->text, n->length)
             : fail(machine, "a global without a name");
}

const struct lvn_pickle_value *lvn_pickle_item(const struct lvn_pickle *pickle, const struct lvn_pickle_value *value,
                                               size_t index, enum lvn_pickle_kind kind) {
  if (index >= value->count) {
    return NULL;
  }
  const struct lvn_pickle_value *item = &pickle->values[value->items[index]];
  return item->kind == kind ? item : NULL;
}

/* BINPERSID: ('storage', type, key, location, element count, …). */
static bool push_storage(struct machine *machine) {
  uint32_t number = 0;
  if (!pop(machine, &number)) {
    return false;
  }
  struct lvn_pickle *pickle = &machine->pickle;
  const struct lvn_pickle_value *id = &pickle->values[number];
  const struct lvn_pickle_value *word =
      id->kind == LVN_PICKLE_TUPLE ? lvn_pickle_item(pickle, id, 0, LVN_PICKLE_TEXT) : NULL;
  const struct lvn_pickle_value *type = word == NULL ? NULL : lvn_pickle_item(pickle, id, 1, LVN_PICKLE_GLOBAL);
  if (type == NULL || !is_text(word->text, word->length, "storage") || type->integer >= LVN_PICKLE_ORDERED_DICT ||
      lvn_pickle_item(pickle, id, 2, LVN_PICKLE_TEXT) == NULL ||
      lvn_pickle_item(pickle, id, 4, LVN_PICKLE_INT) == NULL ||
      (id->count > 5 && lvn_pickle_item(pickle, id, 5, LVN_PICKLE_NONE) == NULL)) {
    return fail(machine, "a persistent id that is no storage, or a view of one");
  }
  struct lvn_pickle_value value = {.kind = LVN_PICKLE_STORAGE};
  for (size_t i = 0; i < id->count; i++) {
    if (!append_item(machine, &value, id->items[i])) {
      lvn_free(value.items);
      return false;
    }
  }
  return push(machine, value);
}

/* What the three callables of the allow-list give, from the tuple of their arguments. */
static bool reduce(struct machine *machine) {
  uint32_t arguments = 0;
  uint32_t callable = 0;
  if (!pop(machine, &arguments) || !pop(machine, &callable)) {
    return false;
  }
  struct lvn_pickle *pickle = &machine->pickle;
  const struct lvn_pickle_value *tuple = &pickle->values[arguments];
  const struct lvn_pickle_value *function = &pickle->values[callable];
  if (tuple->kind != LVN_PICKLE_TUPLE || function->kind != LVN_PICKLE_GLOBAL) {
    return fail(machine, "a call of something that may not be called");
  }
  if (function->integer == LVN_PICKLE_ORDERED_DICT && tuple->count == 0) {
    return push(machine, (struct lvn_pickle_value){.kind = LVN_PICKLE_DICT});
  }
  if (function->integer == LVN_PICKLE_REBUILD_PARAMETER && lvn_pickle_item(pickle, tuple, 0, LVN_PICKLE_TENSOR)) {
    return push_number(machine, tuple->items[0]);
  }
  if (function->integer != LVN_PICKLE_REBUILD_TENSOR || lvn_pickle_item(pickle, tuple, 0, LVN_PICKLE_STORAGE) == NULL ||
      lvn_pickle_item(pickle, tuple, 1, LVN_PICKLE_INT) == NULL ||
      lvn_pickle_item(pickle, tuple, 2, LVN_PICKLE_TUPLE) == NULL ||
      lvn_pickle_item(pickle, tuple, 3, LVN_PICKLE_TUPLE) == NULL) {
    return fail(machine, "a call with arguments that make no tensor");
  }
  struct lvn_pickle_value value = {.kind = LVN_PICKLE_TENSOR};
  for (size_t i = 0; i < 4; i++) {
    if (!append_item(machine, &value, tuple->items[i])) {
      lvn_free(value.items);
      return false;
    }
  }
  return push(machine, value);
}

/* BUILD gives an object its attributes; a state_dict's "_metadata" is of no use here. */
static bool build(struct machine *machine) {
  uint32_t state = 0;
  if (!pop(machine, &state)) {
    return false;
  }
  bool is_dict = machine->depth > 0 && machine->stack[machine->depth - 1] != MARK &&
                 machine->pickle.values[machine->stack[machine->depth - 1]].kind == LVN_PICKLE_DICT;
  return is_dict || fail(machine, "attributes of something that is no dict");
}

static bool stop(struct machine *machine) {
  machine->stopped = true;
  return pop(machine, &machine->pickle.result) && (machine->depth == 0 || fail(machine, "values are left over"));
}

static bool number_then(struct machine *machine, size_t bytes, bool (*use)(struct machine *, uint64_t)) {
  uint64_t number = 0;
  return take_number(machine, bytes, &number) && use(machine, number);
}

static bool use_unsigned(struct machine *machine, uint64_t number) {
  return push_int(machine, (int64_t)number);
}

static bool use_signed(struct machine *machine, uint64_t number) {
  return push_int(machine, (int32_t)(uint32_t)number);
}

static bool use_float(struct machine *machine, uint64_t number) {
  (void)number; /* big-endian; no weight is stored so */
  return push(machine, (struct lvn_pickle_value){.kind = LVN_PICKLE_FLOAT});
}

static bool use_nothing(struct machine *machine, uint64_t number) {
  (void)machine;
  (void)number;
  return true;
}

static bool run_containers(struct machine *machine, uint8_t opcode) {
  switch (opcode) {
  case '}':
    return push(machine, (struct lvn_pickle_value){.kind = LVN_PICKLE_DICT});
  case ']':
    return push(machine, (struct lvn_pickle_value){.kind = LVN_PICKLE_LIST});
  case ')':
    return push(machine, (struct lvn_pickle_value){.kind = LVN_PICKLE_TUPLE});
  case '(':
    return push_number(machine, MARK);
  case 't':
    return push_marked(machine, LVN_PICKLE_TUPLE);
  case 'l':
    return push_marked(machine, LVN_PICKLE_LIST);
  case 0x85:
  case 0x86:
  case 0x87:
    return push_short_tuple(machine, opcode - 0x84U);
  case 's':
    return extend_by(machine, LVN_PICKLE_DICT, 2);
  case 'u':
    return extend_marked(machine, LVN_PICKLE_DICT);
  case 'a':
    return extend_by(machine, LVN_PICKLE_LIST, 1);
  case 'e':
    return extend_marked(machine, LVN_PICKLE_LIST);
  default:
    return lvn_error_set(machine->err, LVN_ERROR_DATA,
                         "pickle, byte %zu: opcode 0x%02x is not among those that weights need: refused",
                         machine->used - 1, opcode);
  }
}

static bool run_opcode(struct machine *machine, uint8_t opcode) {
  switch (opcode) {
  case 0x80: /* PROTO */
    return number_then(machine, 1, use_nothing);
  case 0x95: /* FRAME */
    return number_then(machine, 8, use_nothing);
  case 'K':
    return number_then(machine, 1, use_unsigned);
  case 'M':
    return number_then(machine, 2, use_unsigned);
  case 'J':
    return number_then(machine, 4, use_signed);
  case 'G':
    return number_then(machine, 8, use_float);
  case 0x8a:
    return push_long(machine);
  case 0x88:
  case 0x89:
    return push_int(machine, opcode == 0x88);
  case 'N':
    return push(machine, (struct lvn_pickle_value){.kind = LVN_PICKLE_NONE});
  case 'X':
  case 'T':
    return push_text(machine, 4);
  case 0x8c:
  case 'U':
    return push_text(machine, 1);
  case 'q':
    return number_then(machine, 1, memorise);
  case 'r':
    return number_then(machine, 4, memorise);
  case 0x94:
    return memorise(machine, machine->memo_count);
  case 'h':
    return number_then(machine, 1, recall);
  case 'j':
    return number_then(machine, 4, recall);
  case 'c':
    return push_global_lines(machine);
  case 0x93:
    return push_global_stack(machine);
  case 'Q':
    return push_storage(machine);
  case 'R':
    return reduce(machine);
  case 'b':
    return build(machine);
  case '.':
    return stop(machine);
  default:
    return run_containers(machine, opcode);
  }
}

bool lvn_pickle_parse(const uint8_t *data, size_t bytes, struct lvn_pickle *ret_pickle, struct lvn_error *err) {
  struct machine machine = {.data = data, .bytes = bytes, .err = err};
  bool good = true;
  while (good && !machine.stopped) {
    const uint8_t *opcode = NULL;
    good = take(&machine, 1, &opcode) && run_opcode(&machine, *opcode);
  }
  machine.pickle.used = machine.used;
  lvn_free(machine.stack);
  lvn_free(machine.memo);
  if (!good) {
    lvn_pickle_clear(&machine.pickle);
    return false;
  }
  *ret_pickle = machine.pickle;
  return true;
}

void lvn_pickle_clear(struct lvn_pickle *pickle) {
  for (size_t i = 0; i < pickle->count; i++) {
    lvn_free(pickle->values[i].items);
  }
  lvn_free(pickle->values);
  *pickle = (struct lvn_pickle){0};
}
