#include "analysis/findings/findings.h"

#include "base/log.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define OBJECTS_MAX 1000U

/* LI-RADS v2018 treats observations under 10 mm apart. */
#define SMALL_MM 10.0
#define SMALL_PIXELS 10U

const char *lvn_analysis_outcome_name(enum lvn_analysis_outcome outcome) {
  static const char *const names[] = {
      [LVN_ANALYSIS_DONE] = "done", [LVN_ANALYSIS_WAITING] = "waiting", [LVN_ANALYSIS_REFUSED] = "refused"};
  return names[outcome];
}

const struct lvn_findings_slice *lvn_findings_key(const struct lvn_findings_lesion *lesion) {
  return lesion->key_slice < lesion->slice_count ? &lesion->slices[lesion->key_slice] : NULL;
}

bool lvn_findings_has_phase(const struct lvn_findings_lesion *lesion, enum lvn_phase phase) {
  return lesion->phases[phase].series != SIZE_MAX;
}

bool lvn_findings_map_is_elsewhere(const struct lvn_findings_lesion *lesion) {
  return lesion->prediction.map_share < lesion->prediction.map_share_limit; /* false without a map */
}

bool lvn_findings_is_small(const struct lvn_findings_lesion *lesion) {
  return lesion->short_axis_mm < SMALL_MM || lesion->pixels_across[0] < SMALL_PIXELS ||
         lesion->pixels_across[1] < SMALL_PIXELS;
}

char lvn_findings_edge(const double direction[3], bool opposite) {
  static const char letters[3][2] = {{'L', 'R'}, {'P', 'A'}, {'H', 'F'}};
  int axis = 0;
  for (int i = 1; i < 3; i++) {
    axis = fabs(direction[i]) > fabs(direction[axis]) ? i : axis;
  }
  return letters[axis][(direction[axis] < 0.0) != opposite];
}

bool lvn_findings_add_object(struct lvn_findings *findings, const char *path, const char *sop_class_uid,
                             const char *sop_instance_uid, struct lvn_error *err) {
  if (!lvn_grow(&findings->objects, &findings->object_capacity, findings->object_count, sizeof *findings->objects,
                OBJECTS_MAX, err)) {
    return false;
  }
  struct lvn_result_object *object = &findings->objects[findings->object_count];
  if (!lvn_copy(object->path, sizeof object->path, path) ||
      !lvn_copy(object->sop_class_uid, sizeof object->sop_class_uid, sop_class_uid) ||
      !lvn_copy(object->sop_instance_uid, sizeof object->sop_instance_uid, sop_instance_uid)) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "a path or UID of a result object is too long");
  }
  findings->object_count++;
  return true;
}

void lvn_findings_leave_out(struct lvn_findings *findings, const char *object, const char *reason) {
  size_t used = strlen(findings->not_made);
  lvn_log(LVN_LOG_WARNING, "event=object-not-made object=\"%s\" reason=\"%s\"", object, reason);
  (void)snprintf(findings->not_made + used, sizeof findings->not_made - used, "%sno %s: %s", used > 0 ? "; " : "",
                 object, reason);
}

void lvn_findings_clear(struct lvn_findings *findings) {
  for (size_t i = 0; i < findings->series_count; i++) {
    lvn_free(findings->series[i].evidence);
    lvn_free(findings->series[i].frames);
  }
  for (size_t i = 0; i < findings->lesion_count; i++) {
    struct lvn_findings_lesion *lesion = &findings->lesions[i];
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      lvn_contour_list_clear(&lesion->phases[phase].place.contours);
    }
    lvn_contour_list_clear(&lesion->contours);
    lvn_picture_clear(&lesion->capture);
    lvn_free(lesion->slices);
    lvn_free(lesion->heat);
  }
  lvn_picture_clear(&findings->overview);
  lvn_free(findings->series);
  lvn_free(findings->lesions);
  lvn_free(findings->shadow.predictions);
  lvn_free(findings->objects);
  *findings = (struct lvn_findings){0};
}
