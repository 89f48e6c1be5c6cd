/* Each voxel is asked for its anatomy through the inverse breathing map; no image is ever warped. In tiles of 8 x 8
 * pixels the shapes that can matter are found by their distance; a voxel away from every surface takes one sample,
 * one at a surface up to 4 in the plane x 5 through the slice (partial volume). Threads take slices from one counter;
 * nothing depends on which thread draws which. */
#include "base/memory.h"
#include "model/phantom/phantom_internal.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#define TILE_MAX 8
#define SUB_SLICES_MAX 5
#define OFFSETS 3 /* pixel centre, a quarter before, a quarter after */
#define THREADS_MAX 64

static const float offsets[OFFSETS] = {0.0F, -0.25F, 0.25F};

struct frame { /* one phase */
  enum lvn_phase phase;
  struct lvn_volume *volume;
  double thickness_mm;
  float *wave[2]; /* [mode][offset][index] along x and y; owned */
  float *x;       /* [offset][column] in mm; owned */
  float bend_mm;  /* bound of the internal deformation */
};

struct job {
  const struct lvn_phantom_scene *scene;
  struct lvn_phantom *phantom;
  struct frame frames[LVN_PHASE_COUNT];
  size_t frame_count;
  size_t slice_total;
  atomic_size_t next;
};

/* What locate() needs of one row at one offset and level. */
struct line {
  float y;
  float z;
  float product[LVN_PHANTOM_MODES];
};

struct slice {
  const struct lvn_phantom_scene *scene;
  const struct frame *frame;
  const struct lvn_grid *grid;
  uint32_t index;
  unsigned sub_slices;
  float z[1 + SUB_SLICES_MAX]; /* centre, then the samples through the slice */
  float wave_z[LVN_PHANTOM_MODES][1 + SUB_SLICES_MAX];
  uint32_t tile_side;
  struct line lines[TILE_MAX][OFFSETS][1 + SUB_SLICES_MAX]; /* of the tiles' current rows */
  const struct lvn_phantom_motion *motion;
  float pixel_radius;
  float voxel_radius;
  float tile_radius;
  uint16_t list[LVN_PHANTOM_SHAPES_MAX]; /* shapes of this slice, top first */
  size_t list_count;
  uint16_t tile[LVN_PHANTOM_SHAPES_MAX];
  size_t tile_count;
  bool tile_is_covered; /* the last of them covers the whole tile */
};

struct place {
  float here[3];      /* in the phase's space: what stays */
  float reference[3]; /* in the reference space: what breathes */
};

static void start_rows(struct slice *slice, uint32_t first_row) {
  const struct lvn_grid *grid = slice->grid;
  for (uint32_t i = 0; i < slice->tile_side && first_row + i < grid->size[1]; i++) {
    for (size_t offset = 0; offset < OFFSETS; offset++) {
      for (unsigned level = 0; level <= slice->sub_slices; level++) {
        struct line *line = &slice->lines[i][offset][level];
        double row = (double)(first_row + i) + offsets[offset];
        line->y = (float)(grid->origin_mm[1] + row * grid->spacing_mm[1]);
        line->z = slice->z[level];
        for (size_t mode = 0; mode < LVN_PHANTOM_MODES; mode++) {
          const float *wave = slice->frame->wave[1] + (mode * OFFSETS + offset) * grid->size[1];
          line->product[mode] = wave[first_row + i] * slice->wave_z[mode][level];
        }
      }
    }
  }
}

/* `row` counts within the tile. */
static struct place locate(const struct slice *slice, uint32_t column, uint32_t row, int offset_x, int offset_y,
                           int level) {
  const struct frame *frame = slice->frame;
  const struct line *line = &slice->lines[row][offset_y][level];
  const uint32_t width = slice->grid->size[0];
  struct place place = {.here = {frame->x[(size_t)offset_x * width + column], line->y, line->z}};
  double come[3] = {slice->motion->shift[0], slice->motion->shift[1], slice->motion->shift[2]};
  const float *wave = frame->wave[0] + (size_t)offset_x * width + column;
  for (size_t mode = 0; mode < LVN_PHANTOM_MODES; mode++, wave += (size_t)OFFSETS * width) {
    double product = (double)(*wave * line->product[mode]);
    for (int axis = 0; axis < 3; axis++) {
      come[axis] += product * slice->motion->amplitude[mode][axis];
    }
  }
  lvn_phantom_slide(slice->motion->wall, (double)place.here[0], (double)place.here[1], come);
  for (int axis = 0; axis < 3; axis++) {
    place.reference[axis] = place.here[axis] - (float)come[axis];
  }
  return place;
}

/* How near the closest surface is: `across` for those along z (walls, spine), `any` for the rest. */
struct clearance {
  float across;
  float any;
};

static const struct lvn_phantom_shape *top_shape(const struct slice *slice, const struct place *place,
                                                 struct clearance *ret_clearance) {
  const struct lvn_phantom_shape *shapes = slice->scene->shapes;
  struct clearance clearance = {1e6F, 1e6F};
  const struct lvn_phantom_shape *top = &shapes[slice->tile[slice->tile_count - 1]];
  const size_t count = slice->tile_count - (slice->tile_is_covered ? 1 : 0);
  for (size_t i = 0; i < count; i++) {
    const struct lvn_phantom_shape *shape = &shapes[slice->tile[i]];
    float distance = lvn_phantom_shape_distance(slice->scene, shape, shape->is_static ? place->here : place->reference);
    float size = fabsf(distance);
    if (shape->kind == LVN_SHAPE_CYLINDER || shape->kind == LVN_SHAPE_RING) {
      clearance.across = lvn_phantom_min(clearance.across, size);
    } else {
      clearance.any = lvn_phantom_min(clearance.any, size);
    }
    if (distance < 0.0F) {
      top = shape;
      break;
    }
  }
  *ret_clearance = clearance;
  return top;
}

static float value_at(const struct slice *slice, const struct lvn_phantom_shape *shape, const struct place *place) {
  return lvn_phantom_hounsfield(slice->scene, shape, slice->frame->phase,
                                shape->is_static ? place->here : place->reference);
}

/* Mean over the voxel; in the plane (2 x 2) when `in_plane`, through the slice when `through`. With three levels and
 * more the four places in the plane are taken by turns, two diagonal ones a level. */
static float supersample(const struct slice *slice, uint32_t column, uint32_t row, bool in_plane, bool through) {
  float sum = 0.0F;
  float count = 0.0F;
  int first = in_plane ? 1 : 0;
  int last = in_plane ? 2 : 0;
  bool by_turns = in_plane && through && slice->sub_slices >= 3;
  for (int level = through ? 1 : 0; level <= (through ? (int)slice->sub_slices : 0); level++) {
    for (int y = first; y <= last; y++) {
      for (int x = first; x <= last; x++) {
        if (by_turns && ((x + y + level) & 1) != 0) {
          continue;
        }
        struct place place = locate(slice, column, row, x, y, level);
        struct clearance clearance;
        const struct lvn_phantom_shape *shape = top_shape(slice, &place, &clearance);
        sum += value_at(slice, shape, &place);
        count += 1.0F;
      }
    }
  }
  return sum / count;
}

/* A surface within the voxel's radius may still run along the slice: look at its two ends. */
static bool is_same_through(const struct slice *slice, const struct lvn_phantom_shape *shape, uint32_t column,
                            uint32_t row) {
  for (int end = 0; end < 2; end++) {
    struct clearance clearance;
    struct place place = locate(slice, column, row, 0, 0, end == 0 ? 1 : (int)slice->sub_slices);
    if (top_shape(slice, &place, &clearance) != shape || clearance.any < 1.4F * slice->pixel_radius) {
      return false;
    }
  }
  return true;
}

/* The distances of curved shapes are first order only: how much farther than measured a surface may be nearer. */
static float safety(enum lvn_phantom_kind kind) {
  return kind == LVN_SHAPE_CAPSULE ? 1.05F : kind == LVN_SHAPE_RING || kind == LVN_SHAPE_CYLINDER ? 1.2F : 1.6F;
}

static bool outside_box(const struct lvn_phantom_shape *shape, const float at[3], float reach) {
  for (int axis = 0; axis < 3; axis++) {
    if (at[axis] < shape->low[axis] - reach || at[axis] > shape->high[axis] + reach) {
      return true;
    }
  }
  return false;
}

static void list_tile(struct slice *slice, uint32_t column, uint32_t row) {
  const struct lvn_grid *grid = slice->grid;
  uint32_t half = slice->tile_side / 2;
  uint32_t middle_x = column + half < grid->size[0] ? column + half : grid->size[0] - 1;
  uint32_t middle_y = row + half < grid->size[1] ? half : grid->size[1] - 1 - row;
  struct place place = locate(slice, middle_x, middle_y, 0, 0, 0);
  slice->tile_count = 0;
  slice->tile_is_covered = false;
  for (size_t i = 0; i < slice->list_count; i++) {
    const struct lvn_phantom_shape *shape = &slice->scene->shapes[slice->list[i]];
    const float *at = shape->is_static ? place.here : place.reference;
    float reach = slice->tile_radius * (shape->is_static ? 1.0F : 1.6F);
    if (outside_box(shape, at, reach)) {
      continue;
    }
    float distance = lvn_phantom_shape_distance(slice->scene, shape, at);
    if (distance > reach * safety(shape->kind)) {
      continue;
    }
    slice->tile[slice->tile_count++] = slice->list[i];
    if (distance < -reach * safety(shape->kind)) {
      slice->tile_is_covered = true;
      return;
    }
  }
  if (slice->tile_count == 0) {
    slice->tile[slice->tile_count++] = 0; /* cannot happen: ring and cavity cover all space */
  }
}

static float body_noise(const struct lvn_phantom_patient *patient, const struct place *place) {
  float u = place->here[0] / patient->outer[0];
  float v = place->here[1] / patient->outer[1];
  float square = u * u + v * v;
  return square > 1.0F ? 0.5F : 1.08F - 0.3F * square;
}

/* Two tiles at drawn places add up to a noise field that does not repeat within the image. */
struct noise {
  const float *tile[2];
  unsigned shift[2][2];
  float scale;
};

static float noise_at(const struct noise *noise, uint32_t column, uint32_t row) {
  const unsigned mask = LVN_PHANTOM_NOISE_SIDE - 1;
  float sum = 0.0F;
  for (int i = 0; i < 2; i++) {
    unsigned x = (column + noise->shift[i][0]) & mask;
    unsigned y = (row + noise->shift[i][1]) & mask;
    sum += noise->tile[i][y * LVN_PHANTOM_NOISE_SIDE + x];
  }
  return sum * noise->scale;
}

static struct noise start_noise(const struct slice *slice, uint64_t seed) {
  const struct lvn_phantom_scene *scene = slice->scene;
  enum lvn_phase phase = slice->frame->phase;
  uint64_t stream = (uint64_t)LVN_PHANTOM_STREAM_NOISE + ((uint64_t)phase << 32) + ((uint64_t)slice->index << 8);
  struct lvn_phantom_random random = lvn_phantom_random_start(seed, stream);
  struct noise noise = {.scale = scene->noise_hu[phase] * 0.70710678F};
  size_t first = lvn_phantom_random_index(&random, LVN_PHANTOM_NOISE_TILES);
  for (size_t i = 0; i < 2; i++) {
    size_t tile =
        (first + i * (1 + lvn_phantom_random_index(&random, LVN_PHANTOM_NOISE_TILES - 1))) % LVN_PHANTOM_NOISE_TILES;
    noise.tile[i] = scene->noise[phase] + tile * LVN_PHANTOM_NOISE_SIDE * LVN_PHANTOM_NOISE_SIDE;
    noise.shift[i][0] = (unsigned)lvn_phantom_random_index(&random, LVN_PHANTOM_NOISE_SIDE);
    noise.shift[i][1] = (unsigned)lvn_phantom_random_index(&random, LVN_PHANTOM_NOISE_SIDE);
  }
  return noise;
}

/* `row` counts within the tile; `at` is the voxel's index in the volume. */
static float draw_voxel(struct slice *slice, struct lvn_phantom *phantom, uint32_t column, uint32_t row,
                        const struct place *place, size_t at) {
  struct clearance clearance;
  const struct lvn_phantom_shape *shape = top_shape(slice, place, &clearance);
  bool is_lesion = shape->kind == LVN_SHAPE_LESION;
  bool at_surface = clearance.any < slice->voxel_radius;
  if (is_lesion) {
    phantom->lesions[shape->lesion].mask[slice->frame->phase].inside[at] = 1;
  }
  if (at_surface && clearance.any > slice->pixel_radius && slice->sub_slices > 1) {
    at_surface = !is_same_through(slice, shape, column, row);
  }
  bool at_wall = clearance.across < slice->pixel_radius;
  if (at_surface || at_wall || is_lesion) {
    return supersample(slice, column, row, at_surface || at_wall, at_surface || is_lesion);
  }
  return value_at(slice, shape, place);
}

/* Regions on what is there anyway. */
static void mark_hidden(const struct slice *slice, struct lvn_phantom *phantom, const struct place *place, size_t at) {
  for (size_t i = 0; i < slice->scene->lesion_count; i++) {
    const struct lvn_phantom_look *look = &slice->scene->lesions[i];
    if (look->is_hidden && lvn_phantom_look_distance(look, place->reference, NULL) < 0.0F) {
      phantom->lesions[i].mask[slice->frame->phase].inside[at] = 1;
    }
  }
}

static bool has_hidden(const struct lvn_phantom_scene *scene) {
  bool any = false;
  for (size_t i = 0; i < scene->lesion_count; i++) {
    any = any || scene->lesions[i].is_hidden;
  }
  return any;
}

static void draw_slice(struct slice *slice, struct lvn_phantom *phantom) {
  const struct lvn_grid *grid = slice->grid;
  const struct noise noise = start_noise(slice, phantom->options.seed);
  const size_t plane = (size_t)grid->size[0] * grid->size[1];
  const uint32_t side = slice->tile_side;
  const float offset_hu = (float)slice->scene->patient.offset_hu;
  const bool hidden = has_hidden(slice->scene);
  for (uint32_t row = 0; row < grid->size[1]; row += side) {
    start_rows(slice, row);
    for (uint32_t column = 0; column < grid->size[0]; column += side) {
      list_tile(slice, column, row);
      for (uint32_t y = 0; y < side && row + y < grid->size[1]; y++) {
        for (uint32_t x = column; x < column + side && x < grid->size[0]; x++) {
          size_t at = (size_t)slice->index * plane + (size_t)(row + y) * grid->size[0] + x;
          struct place place = locate(slice, x, y, 0, 0, 0);
          float hu = draw_voxel(slice, phantom, x, y, &place, at);
          hu += noise_at(&noise, x, row + y) * body_noise(&slice->scene->patient, &place) + offset_hu;
          if (hidden) {
            mark_hidden(slice, phantom, &place, at);
          }
          hu = lvn_phantom_min(lvn_phantom_max(hu, -1024.0F), 3071.0F);
          slice->frame->volume->hounsfield[at] = (int16_t)lrintf(hu);
        }
      }
    }
  }
}

/* Shapes whose box reaches this slice, top first. */
static void list_slice(struct slice *slice) {
  const struct lvn_phantom_scene *scene = slice->scene;
  float half = 0.5F * (float)slice->frame->thickness_mm + 1.0F;
  float moved = slice->z[0] - (float)scene->motion[slice->frame->phase].shift[2];
  slice->list_count = 0;
  for (size_t i = scene->shape_count; i-- > 0;) {
    const struct lvn_phantom_shape *shape = &scene->shapes[i];
    float z = shape->is_static ? slice->z[0] : moved;
    float reach = shape->is_static ? half : half + slice->frame->bend_mm;
    bool unbounded = shape->kind == LVN_SHAPE_CYLINDER || shape->kind == LVN_SHAPE_RING;
    if (unbounded || (z > shape->low[2] - reach && z < shape->high[2] + reach)) {
      slice->list[slice->list_count++] = (uint16_t)i;
    }
  }
}

static void start_slice(const struct job *job, const struct frame *frame, uint32_t index, struct slice *slice) {
  const struct lvn_grid *grid = &frame->volume->grid;
  const struct lvn_phantom_motion *motion = &job->scene->motion[frame->phase];
  double spread[3] = {grid->spacing_mm[0], grid->spacing_mm[1], frame->thickness_mm};
  slice->scene = job->scene;
  slice->frame = frame;
  slice->grid = grid;
  slice->index = index;
  slice->sub_slices = (unsigned)fmin(fmax(ceil(frame->thickness_mm / 1.3), 1.0), SUB_SLICES_MAX);
  for (unsigned level = 0; level <= slice->sub_slices; level++) {
    double share = level == 0 ? 0.0 : ((double)level - 0.5) / slice->sub_slices - 0.5;
    double z = grid->origin_mm[2] + index * grid->spacing_mm[2] + share * frame->thickness_mm;
    slice->z[level] = (float)z;
    for (int mode = 0; mode < LVN_PHANTOM_MODES; mode++) {
      slice->wave_z[mode][level] =
          (float)sin(motion->wave_number[mode][2] * (z - motion->shift[2]) + motion->wave_phase[mode][2]);
    }
  }
  slice->motion = motion;
  slice->tile_side = spread[0] > 1.0 ? TILE_MAX / 2 : TILE_MAX;
  slice->pixel_radius = (float)(0.5 * hypot(spread[0], spread[1]));
  slice->voxel_radius = (float)(0.5 * sqrt(spread[0] * spread[0] + spread[1] * spread[1] + spread[2] * spread[2]));
  slice->tile_radius = slice->voxel_radius + slice->pixel_radius * (float)(slice->tile_side + 1);
  list_slice(slice);
}

static void *work(void *argument) {
  struct job *job = argument;
  struct slice slice;
  size_t task;
  while ((task = atomic_fetch_add(&job->next, 1)) < job->slice_total) {
    size_t frame = 0;
    while (task >= job->frames[frame].volume->grid.size[2]) {
      task -= job->frames[frame].volume->grid.size[2];
      frame++;
    }
    start_slice(job, &job->frames[frame], (uint32_t)task, &slice);
    draw_slice(&slice, job->phantom);
  }
  return NULL;
}

static bool start_frame(const struct lvn_phantom_scene *scene, struct lvn_phantom *phantom, enum lvn_phase phase,
                        struct frame *frame, struct lvn_error *err) {
  const struct lvn_phantom_motion *motion = &scene->motion[phase];
  const struct lvn_grid *grid = &phantom->volume[phase].grid;
  *frame = (struct frame){
      .phase = phase, .volume = &phantom->volume[phase], .thickness_mm = phantom->slice_thickness_mm[phase]};
  for (int axis = 0; axis < 2; axis++) {
    float *wave = lvn_alloc((size_t)LVN_PHANTOM_MODES * OFFSETS * grid->size[axis], sizeof *wave, err);
    if (wave == NULL) {
      return false;
    }
    frame->wave[axis] = wave;
    for (int mode = 0; mode < LVN_PHANTOM_MODES; mode++) {
      for (int offset = 0; offset < OFFSETS; offset++) {
        for (uint32_t i = 0; i < grid->size[axis]; i++) {
          double at = grid->origin_mm[axis] + ((double)i + offsets[offset]) * grid->spacing_mm[axis];
          *wave++ =
              (float)sin(motion->wave_number[mode][axis] * (at - motion->shift[axis]) + motion->wave_phase[mode][axis]);
        }
      }
    }
  }
  float *x = lvn_alloc((size_t)OFFSETS * grid->size[0], sizeof *x, err);
  if (x == NULL) {
    return false;
  }
  frame->x = x;
  for (int offset = 0; offset < OFFSETS; offset++) {
    for (uint32_t i = 0; i < grid->size[0]; i++) {
      *x++ = (float)(grid->origin_mm[0] + ((double)i + offsets[offset]) * grid->spacing_mm[0]);
    }
  }
  for (int mode = 0; mode < LVN_PHANTOM_MODES; mode++) {
    frame->bend_mm += (float)fabs(motion->amplitude[mode][2]);
  }
  return true;
}

static bool run(struct job *job, unsigned threads, struct lvn_error *err) {
  pthread_t started[THREADS_MAX];
  unsigned count = 0;
  bool good = true;
  threads = threads > THREADS_MAX ? THREADS_MAX : threads;
  while (count + 1 < threads) {
    int failure = pthread_create(&started[count], NULL, work, job);
    if (failure != 0) {
      good = lvn_error_set_errno(err, failure, "cannot start a thread");
      break;
    }
    count++;
  }
  (void)work(job);
  for (unsigned i = 0; i < count; i++) {
    (void)pthread_join(started[i], NULL);
  }
  return good;
}

bool lvn_phantom_render(const struct lvn_phantom_scene *scene, struct lvn_phantom *phantom, unsigned threads,
                        struct lvn_error *err) {
  struct job job = {.scene = scene, .phantom = phantom};
  bool good = true;
  for (int phase = 0; good && phase < LVN_PHASE_COUNT; phase++) {
    if (phantom->volume[phase].hounsfield != NULL) {
      good = start_frame(scene, phantom, (enum lvn_phase)phase, &job.frames[job.frame_count++], err);
      job.slice_total += phantom->volume[phase].grid.size[2];
    }
  }
  good = good && run(&job, threads, err);
  for (size_t i = 0; i < job.frame_count; i++) {
    lvn_free(job.frames[i].wave[0]);
    lvn_free(job.frames[i].wave[1]);
    lvn_free(job.frames[i].x);
  }
  return good;
}
