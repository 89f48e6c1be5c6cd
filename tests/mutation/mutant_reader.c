/* Reads one small study per line of its input, with one object of it exchanged for a mutant, and prints what the node
 * would make of it as one line of JSON. Each study is read by a process of its own, with a bound on memory and time, so
 * that a crash is a line of its own and no end.
 * Usage: mutant_reader FOLDER. A line is the name of the file that the mutant stands for (empty: it is one more), a tab
 * and the mutant's path. tests/mutation/mutate.py writes the lines and judges the answers. */
#include "base/file.h"
#include "base/memory.h"
#include "dicom/read/hounsfield.h"
#include "dicom/read/roi.h"
#include "dicom/read/study.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MAX 256
#define MEMORY_BYTES ((rlim_t)2 << 30)
#define SECONDS_MAX 60

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SHADOW_MEMORY 1 /* terabytes of addresses, of which nothing is used */
#else
#define HAS_SHADOW_MEMORY 0
#endif

static void print_text(const char *name, const char *text) {
  (void)printf("\"%s\":\"", name);
  for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
    if (*c < 0x20 || *c >= 0x7f || *c == '"' || *c == '\\') {
      (void)printf("\\u%04x", *c);
    } else {
      (void)putchar(*c);
    }
  }
  (void)putchar('"');
}

/* Of a value at a voxel; sums of them do not depend on the order of voxels. */
static uint64_t voxel_digest(const uint32_t index[3], int value) {
  uint64_t digest = UINT64_C(14695981039346656037) ^ (uint64_t)(int64_t)value;
  for (int i = 0; i < 3; i++) {
    digest = (digest ^ index[i]) * UINT64_C(1099511628211);
    digest ^= digest >> 29;
  }
  return digest;
}

/* Of all voxels that are inside (a mask) or of all values (a volume): the other is NULL. */
static uint64_t grid_digest(const struct lvn_grid *grid, const struct lvn_mask *mask, const int16_t *hounsfield) {
  uint64_t sum = 0;
  size_t at = 0;
  for (uint32_t z = 0; z < grid->size[2]; z++) {
    for (uint32_t y = 0; y < grid->size[1]; y++) {
      for (uint32_t x = 0; x < grid->size[0]; x++, at++) {
        const uint32_t index[3] = {x, y, z};
        if (hounsfield != NULL) {
          sum += voxel_digest(index, hounsfield[at]);
        } else if (lvn_mask_contains(mask, x, y, z)) {
          sum += voxel_digest(index, 1);
        }
      }
    }
  }
  return sum;
}

static void print_grid(const struct lvn_grid *grid) {
  (void)printf("\"grid\":[");
  for (int axis = 0; axis < 3; axis++) {
    (void)printf("%s%.17g,%.17g,%.17g,%.17g,%.17g", axis == 0 ? "" : ",", grid->origin_mm[axis], grid->spacing_mm[axis],
                 grid->direction[axis][0], grid->direction[axis][1], grid->direction[axis][2]);
  }
  (void)printf("]");
}

static void print_rois(const struct lvn_study *study, const struct lvn_roi_list *rois) {
  (void)printf(",\"rois\":[");
  for (size_t i = 0; i < rois->count; i++) {
    const struct lvn_roi *roi = &rois->items[i];
    (void)printf("%s{", i == 0 ? "" : ",");
    print_text("series", lvn_study_get_stack(study, roi->stack_index)->series_instance_uid);
    (void)putchar(',');
    print_grid(&roi->mask.grid);
    (void)printf(",\"voxels\":%zu,\"mask\":\"%016" PRIx64 "\"}", lvn_mask_measure(&roi->mask, NULL, NULL, NULL),
                 grid_digest(&roi->mask.grid, &roi->mask, NULL));
  }
  (void)printf("]");
}

/* What cannot be a phase has no volume that anything would be measured on. */
static bool print_volume(const struct lvn_study *study, size_t stack_index, struct lvn_error *err) {
  LVN_CLEANUP(lvn_volume_clear) struct lvn_volume volume = {0};
  char doubt[LVN_HOUNSFIELD_TEXT_BYTES] = "";
  if (lvn_study_get_stack(study, stack_index)->exclusion != LVN_EXCLUSION_NONE) {
    return true;
  }
  if (!lvn_study_load_volume(study, stack_index, &volume, err) || !lvn_hounsfield_check(&volume, doubt, err)) {
    return false;
  }
  (void)printf(",\"hu\":\"%016" PRIx64 "\",", grid_digest(&volume.grid, NULL, volume.hounsfield));
  print_text("doubt", doubt);
  return true;
}

static bool print_stacks(const struct lvn_study *study, struct lvn_error *err) {
  (void)printf(",\"stacks\":[");
  for (size_t i = 0; i < lvn_study_get_stack_count(study); i++) {
    const struct lvn_stack *stack = lvn_study_get_stack(study, i);
    (void)printf("%s{", i == 0 ? "" : ",");
    print_text("series", stack->series_instance_uid);
    (void)printf(",\"slices\":%zu,\"size\":[%" PRIu32 ",%" PRIu32 ",%" PRIu32 "],", stack->slice_count,
                 stack->grid.size[0], stack->grid.size[1], stack->grid.size[2]);
    print_grid(&stack->grid);
    (void)putchar(',');
    print_text("exclusion", lvn_exclusion_name(stack->exclusion));
    (void)putchar(',');
    print_text("problem", stack->geometry_problem);
    (void)putchar(',');
    print_text("note", stack->geometry_note);
    (void)putchar(',');
    print_text("reserve", stack->reserve_reason);
    if (!print_volume(study, i, err)) {
      return false;
    }
    (void)printf("}");
  }
  (void)printf("]");
  return true;
}

static bool print_study(const char *const *paths, size_t path_count, struct lvn_error *err) {
  LVN_CLEANUP(lvn_roi_list_clear) struct lvn_roi_list rois = {0};
  char note[LVN_TEXT_BYTES] = "";
  struct lvn_study *study = NULL;
  bool ok = lvn_study_open(paths, path_count, &study, err) && lvn_roi_read_all(study, &rois, note, err);
  (void)printf("{");
  print_text("note", note);
  (void)putchar(',');
  print_text("waiting", rois.waiting);
  if (ok) {
    print_rois(study, &rois);
    ok = print_stacks(study, err);
  }
  lvn_study_close(study);
  return ok;
}

/* An error is the mutant's fault, and an answer, where the node would refuse the study for it. */
static int answer(const char *const *paths, size_t path_count) {
  struct lvn_error err = {0};
  char *line = NULL;
  size_t bytes = 0;
  FILE *real = stdout;
  stdout = open_memstream(&line, &bytes);
  if (stdout == NULL) {
    return 2;
  }
  bool ok = print_study(paths, path_count, &err);
  if (!ok) {
    rewind(stdout);
    (void)putchar('{');
    print_text("error", err.message);
  }
  (void)printf(",\"outcome\":\"%s\"}\n", ok ? "ok"
                                         : err.code == LVN_ERROR_DATA || err.code == LVN_ERROR_CONFLICT
                                             ? "refused"
                                             : lvn_error_code_name(err.code));
  (void)fflush(stdout);
  /* What was printed before the error may be longer. */
  const char *end = line == NULL ? NULL : memchr(line, '\n', bytes);
  if (end != NULL) {
    (void)fwrite(line, 1, (size_t)(end - line) + 1, real);
  }
  (void)fclose(stdout);
  free(line);
  stdout = real;
  return fflush(stdout) == 0 ? 0 : 2;
}

static bool run_child(const char *const *paths, size_t path_count) {
  int status = 0;
  (void)fflush(stdout);
  const pid_t child = fork();
  if (child < 0) {
    return false;
  }
  if (child == 0) {
    const struct rlimit memory = {.rlim_cur = MEMORY_BYTES, .rlim_max = MEMORY_BYTES};
    (void)alarm(SECONDS_MAX);
    if (!HAS_SHADOW_MEMORY && setrlimit(RLIMIT_AS, &memory) != 0) {
      _exit(2);
    }
    _exit(answer(paths, path_count));
  }
  if (waitpid(child, &status, 0) != child) {
    return false;
  }
  if (WIFSIGNALED(status)) {
    (void)printf("{\"outcome\":\"%s\",\"error\":\"signal %d\"}\n", WTERMSIG(status) == SIGALRM ? "hang" : "crash",
                 WTERMSIG(status));
  } else if (WEXITSTATUS(status) != 0) {
    (void)printf("{\"outcome\":\"crash\",\"error\":\"exit status %d\"}\n", WEXITSTATUS(status));
  }
  return fflush(stdout) == 0;
}

static bool serve_line(const struct lvn_file_names *files, char *line) {
  const char *paths[FILES_MAX + 1];
  size_t count = 0;
  char *mutant = strchr(line, '\t');
  line[strcspn(line, "\n")] = '\0';
  if (mutant == NULL) {
    return false;
  }
  *mutant++ = '\0';
  for (size_t i = 0; i < files->count; i++) {
    const char *name = strrchr(files->names[i], '/');
    if (strcmp(name == NULL ? files->names[i] : name + 1, line) != 0) {
      paths[count++] = files->names[i];
    }
  }
  if (mutant[0] != '\0') {
    paths[count++] = mutant;
  }
  return run_child(paths, count);
}

int main(int argc, char **argv) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names files = {0};
  struct lvn_error err = {0};
  struct lvn_study *study = NULL;
  char line[4096];
  if (argc != 2 || !lvn_file_walk(argv[1], FILES_MAX, &files, &err)) {
    (void)fprintf(stderr, "usage: mutant_reader FOLDER (%s)\n", err.message);
    return 2;
  }
  /* Reads DCMTK's dictionary once for all children. */
  if (!lvn_study_open((const char *const *)files.names, files.count, &study, &err)) {
    (void)fprintf(stderr, "%s\n", err.message);
    return 2;
  }
  lvn_study_close(study);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (!serve_line(&files, line)) {
      (void)fprintf(stderr, "mutant_reader: cannot serve '%s'\n", line);
      return 2;
    }
  }
  return 0;
}
