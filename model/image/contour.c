#include "model/image/contour.h"

#include "base/memory.h"

#include <string.h>

#define POINTS_MAX ((size_t)1 << 24)
#define CONTOURS_MAX ((size_t)1 << 20)

/* The slice, with sides already walked. Sides of a pixel are walked clockwise on the screen, inside to the right:
 * 0 top to the right, 1 right side down, 2 bottom to the left, 3 left side up. */
struct tracer {
  const uint8_t *inside;
  uint8_t *walked; /* one bit per side */
  int64_t columns;
  int64_t rows;
};

struct step {
  int64_t column;
  int64_t row;
  unsigned side;
};

static const int64_t across_column[4] = {0, 1, 0, -1};
static const int64_t across_row[4] = {-1, 0, 1, 0};
/* Corner at which each side starts. */
static const int64_t start_column[4] = {0, 1, 1, 0};
static const int64_t start_row[4] = {0, 0, 1, 1};

static bool is_inside(const struct tracer *tracer, int64_t column, int64_t row) {
  return column >= 0 && row >= 0 && column < tracer->columns && row < tracer->rows &&
         tracer->inside[row * tracer->columns + column] != 0;
}

static bool is_boundary(const struct tracer *tracer, struct step step) {
  return !is_inside(tracer, step.column + across_column[step.side], step.row + across_row[step.side]);
}

/* Turning right first keeps two pixels that only touch at a corner apart, so regions are 4-connected. */
static struct step next_step(const struct tracer *tracer, struct step step) {
  struct step turned = {step.column, step.row, (step.side + 1) % 4};
  if (is_boundary(tracer, turned)) {
    return turned;
  }
  struct step straight = {step.column + across_column[turned.side], step.row + across_row[turned.side], step.side};
  if (is_boundary(tracer, straight)) {
    return straight;
  }
  return (struct step){straight.column + across_column[step.side], straight.row + across_row[step.side],
                       (step.side + 3) % 4};
}

static bool append_point(struct lvn_contour *contour, size_t *capacity, struct lvn_contour_point point,
                         struct lvn_error *err) {
  if (!lvn_grow(&contour->points, capacity, contour->count, sizeof *contour->points, POINTS_MAX, err)) {
    return false;
  }
  contour->points[contour->count++] = point;
  return true;
}

static bool walk_loop(struct tracer *tracer, struct step first, struct lvn_contour *ret_loop, struct lvn_error *err) {
  struct lvn_contour loop = {NULL, 0};
  size_t capacity = 0;
  struct step step = first;
  unsigned last_side = 4;
  do {
    if (step.side != last_side) {
      struct lvn_contour_point corner = {(uint32_t)(step.column + start_column[step.side]),
                                         (uint32_t)(step.row + start_row[step.side])};
      if (!append_point(&loop, &capacity, corner, err)) {
        lvn_free(loop.points);
        return false;
      }
    }
    last_side = step.side;
    tracer->walked[step.row * tracer->columns + step.column] |= (uint8_t)(1U << step.side);
    step = next_step(tracer, step);
  } while (step.column != first.column || step.row != first.row || step.side != first.side);
  *ret_loop = loop;
  return true;
}

/* Twice the signed area: positive for the outer outline of a region, negative for a hole. */
static int64_t twice_area(const struct lvn_contour *loop) {
  int64_t sum = 0;
  for (size_t i = 0; i < loop->count; i++) {
    const struct lvn_contour_point *here = &loop->points[i];
    const struct lvn_contour_point *next = &loop->points[(i + 1) % loop->count];
    sum += (int64_t)here->column * next->row - (int64_t)next->column * here->row;
  }
  return sum;
}

static bool append_loop(struct lvn_contour_list *list, size_t *capacity, struct lvn_contour loop,
                        struct lvn_error *err) {
  if (!lvn_grow(&list->items, capacity, list->count, sizeof *list->items, CONTOURS_MAX, err)) {
    lvn_free(loop.points);
    return false;
  }
  list->items[list->count++] = loop;
  return true;
}

static bool trace_loops(struct tracer *tracer, struct lvn_contour_list *outers, struct lvn_contour_list *holes,
                        struct lvn_error *err) {
  size_t outer_capacity = 0;
  size_t hole_capacity = 0;
  for (int64_t row = 0; row < tracer->rows; row++) {
    for (int64_t column = 0; column < tracer->columns; column++) {
      struct step step = {column, row, 0};
      struct lvn_contour loop = {NULL, 0};
      if (!is_inside(tracer, column, row) || !is_boundary(tracer, step) ||
          (tracer->walked[row * tracer->columns + column] & 1U) != 0) {
        continue;
      }
      if (!walk_loop(tracer, step, &loop, err)) {
        return false;
      }
      bool is_outer = twice_area(&loop) > 0;
      if (!append_loop(is_outer ? outers : holes, is_outer ? &outer_capacity : &hole_capacity, loop, err)) {
        return false;
      }
    }
  }
  return true;
}

/* Index of the loop's leftmost point, the topmost of those. */
static size_t leftmost(const struct lvn_contour *loop) {
  size_t best = 0;
  for (size_t i = 1; i < loop->count; i++) {
    const struct lvn_contour_point *a = &loop->points[i];
    const struct lvn_contour_point *b = &loop->points[best];
    if (a->column < b->column || (a->column == b->column && a->row < b->row)) {
      best = i;
    }
  }
  return best;
}

struct hit {
  struct lvn_contour *contour;
  size_t after; /* the keyhole is cut after this point */
  struct lvn_contour_point point;
};

/* The nearest vertical edge to the left of `from` on its row. All pixels between are inside, so the edge belongs to the
 * outline of the same region, or to a hole of it further left, which is already joined. */
static bool find_left(struct lvn_contour_list *outers, struct lvn_contour_point from, struct hit *ret_hit) {
  bool found = false;
  for (size_t k = 0; k < outers->count; k++) {
    struct lvn_contour *contour = &outers->items[k];
    for (size_t i = 0; i < contour->count; i++) {
      const struct lvn_contour_point *here = &contour->points[i];
      size_t next_index = (i + 1) % contour->count;
      const struct lvn_contour_point *next = &contour->points[next_index];
      uint32_t low = here->row < next->row ? here->row : next->row;
      uint32_t high = here->row < next->row ? next->row : here->row;
      if (here->column != next->column || low == high || here->column >= from.column || from.row < low ||
          from.row > high || (found && here->column <= ret_hit->point.column)) {
        continue;
      }
      found = true;
      *ret_hit = (struct hit){contour, next->row == from.row ? next_index : i, {here->column, from.row}};
    }
  }
  return found;
}

/* …, H, V, rest of the hole, V, H, … */
static bool join_hole(struct lvn_contour_list *outers, const struct lvn_contour *hole, struct lvn_error *err) {
  size_t start = leftmost(hole);
  struct hit hit = {NULL, 0, {0, 0}};
  struct lvn_contour joined = {NULL, 0};
  size_t out = 0;
  if (!find_left(outers, hole->points[start], &hit)) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "a hole of an outline lies in no region");
  }
  joined.points = lvn_alloc(hit.contour->count + hole->count + 3, sizeof *joined.points, err);
  if (joined.points == NULL) {
    return false;
  }
  for (size_t i = 0; i < hit.contour->count; i++) {
    joined.points[out++] = hit.contour->points[i];
    if (i != hit.after) {
      continue;
    }
    if (joined.points[out - 1].column != hit.point.column || joined.points[out - 1].row != hit.point.row) {
      joined.points[out++] = hit.point;
    }
    for (size_t j = 0; j <= hole->count; j++) {
      joined.points[out++] = hole->points[(start + j) % hole->count];
    }
    joined.points[out++] = hit.point;
  }
  joined.count = out;
  lvn_free(hit.contour->points);
  *hit.contour = joined;
  return true;
}

static bool join_holes(struct lvn_contour_list *outers, const struct lvn_contour_list *holes, struct lvn_error *err) {
  LVN_AUTOFREE bool *joined = lvn_alloc(holes->count, sizeof *joined, err);
  if (joined == NULL) {
    return false;
  }
  for (size_t round = 0; round < holes->count; round++) {
    size_t best = holes->count; /* leftmost of those that are left */
    for (size_t i = 0; i < holes->count; i++) {
      if (!joined[i] && (best == holes->count || holes->items[i].points[leftmost(&holes->items[i])].column <
                                                     holes->items[best].points[leftmost(&holes->items[best])].column)) {
        best = i;
      }
    }
    joined[best] = true;
    if (!join_hole(outers, &holes->items[best], err)) {
      return false;
    }
  }
  return true;
}

/* From the box's corners to the grid's. */
static void move(struct lvn_contour_list *list, uint32_t columns, uint32_t rows) {
  for (size_t i = 0; i < list->count; i++) {
    for (size_t p = 0; p < list->items[i].count; p++) {
      list->items[i].points[p].column += columns;
      list->items[i].points[p].row += rows;
    }
  }
}

bool lvn_contour_trace(const struct lvn_mask *mask, uint32_t slice, struct lvn_contour_list *ret_list,
                       struct lvn_error *err) {
  size_t pixels = (size_t)mask->size[0] * mask->size[1];
  LVN_CLEANUP(lvn_contour_list_clear) struct lvn_contour_list outers = {NULL, 0};
  LVN_CLEANUP(lvn_contour_list_clear) struct lvn_contour_list holes = {NULL, 0};
  struct tracer tracer = {lvn_mask_get_slice(mask, slice), NULL, mask->size[0], mask->size[1]};
  *ret_list = (struct lvn_contour_list){NULL, 0};
  if (tracer.inside == NULL || memchr(tracer.inside, 1, pixels) == NULL) {
    return true;
  }
  LVN_AUTOFREE uint8_t *walked = lvn_alloc(pixels, 1, err);
  if (walked == NULL) {
    return false;
  }
  tracer.walked = walked;
  if (!trace_loops(&tracer, &outers, &holes, err) || !join_holes(&outers, &holes, err)) {
    return false;
  }
  move(&outers, mask->first[0], mask->first[1]);
  *ret_list = outers;
  outers = (struct lvn_contour_list){NULL, 0};
  return true;
}

void lvn_contour_list_clear(struct lvn_contour_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    lvn_free(list->items[i].points);
  }
  lvn_free(list->items);
  *list = (struct lvn_contour_list){NULL, 0};
}
