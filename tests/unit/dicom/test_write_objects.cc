// The objects beside report and captures: segmentation, key objects, presentation state, document. What is checked here
// is counted out by hand from the masks; each damage case shows that our own check can fail.
#include "base/file.h"
#include "base/memory.h"
#include "dicom/write/phantom_objects.h"
#include "dicom/write/result.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <setjmp.h>
extern "C" {
#include <cmocka.h>
}

#include "tests/unit/scratch.h"

namespace {

constexpr uint32_t columns = 9; // 9 x 7 pixels: a frame ends in the middle of a byte
constexpr uint32_t rows = 7;
constexpr uint32_t slices = 4;
const struct lvn_grid grid = {
    {columns, rows, slices}, {0.8, 0.9, 5}, {-10, -20, 30}, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
const char *const uids[slices] = {"1.2.3.10", "1.2.3.11", "1.2.3.12", "1.2.3.13"};
const char *const enhanced = "1.2.3.20";
struct lvn_contour_point square[] = {{1, 1}, {3, 1}, {3, 3}, {1, 3}};
struct lvn_contour outline = {square, 4};

struct fixture {
  std::string folder;
  std::string template_path;
  struct lvn_findings_frame frames[2][slices];
  struct lvn_findings_series series[2]; // PV, where the ROIs are; ART
  struct lvn_mask masks[2];
  struct lvn_mask carried;
  struct lvn_findings_slice slice[2];
  struct lvn_findings_lesion lesions[2];
  struct lvn_findings findings;
  struct lvn_result_request request;
};

void write_template(fixture *f) {
  struct lvn_error error = {};
  struct lvn_volume volume = {};
  const struct lvn_write_study study = {"1.2.3.4", "1.2.3.5",  "PHANTOM-1", "Phantom^Seed 1",
                                        "1",       "ACC-0001", "20261122",  "101500"};
  const struct lvn_write_series series = {"1.2.3.6", "seed",  4, "PV", "Liver", "101634",
                                          nullptr,   nullptr, 5, "B",  nullptr};
  assert_true(lvn_volume_create(&grid, &volume, &error));
  assert_true(lvn_write_ct_series(f->folder.c_str(), &study, &series, &volume, nullptr, &error));
  lvn_volume_clear(&volume);
  f->template_path = f->folder + "/0001.dcm";
}

void fill_series(fixture *f, size_t index) {
  static const char *const series_uids[] = {"1.2.3.100", "1.2.3.101"};
  struct lvn_findings_series &series = f->series[index];
  for (uint32_t k = 0; k < slices; k++) {
    f->frames[index][k] = {{UID_CTImageStorage, uids[k], series_uids[index], 0, static_cast<int>(k + 1), k},
                           {-10, -20, 30 + 5.0 * k},
                           1,
                           -1024};
  }
  series.series_instance_uid = series_uids[index];
  series.series_number = static_cast<int>(index) + 3;
  series.geometry_note = "";
  series.grid = &grid;
  series.slice_thickness_mm = 5;
  series.frame_of_reference_uid = "1.2.3.5";
  series.frames = f->frames[index];
  series.frame_count = slices;
}

// Lesion 0: two odd pixels on slice 1, three on slice 3, nothing between. Lesion 1: the last pixel of slice 3.
void fill_masks(fixture *f) {
  struct lvn_error error = {};
  const uint32_t first[3] = {2, 1, 1};
  const uint32_t size[3] = {3, 4, 3};
  const uint32_t corner[3] = {columns - 1, rows - 1, 3};
  const uint32_t one[3] = {1, 1, 1};
  assert_true(lvn_mask_create_box(&grid, first, size, &f->masks[0], &error));
  f->masks[0].inside[0] = f->masks[0].inside[4] = 1;
  f->masks[0].inside[24] = f->masks[0].inside[25] = f->masks[0].inside[35] = 1;
  assert_true(lvn_mask_create_box(&grid, corner, one, &f->masks[1], &error));
  f->masks[1].inside[0] = 1;
}

void fill_lesion(fixture *f, size_t index) {
  static const char *const tracking[] = {"2.25.1", "2.25.2"};
  struct lvn_findings_lesion &lesion = f->lesions[index];
  f->slice[index].drawn = f->frames[0][3].image;
  f->slice[index].phases[LVN_PHASE_NC] = f->frames[1][0].image;
  f->slice[index].phases[LVN_PHASE_ART] = f->frames[1][2].image;
  f->slice[index].phases[LVN_PHASE_PV] = f->frames[0][3].image;
  lesion.tracking_id = index == 0 ? "Nodule A" : "";
  lesion.tracking_uid = tracking[index];
  lesion.slices = &f->slice[index];
  lesion.slice_count = 1;
  lesion.contours = {&outline, 1};
  lesion.drawn.mask = &f->masks[index];
  for (unsigned phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    lesion.phases[phase].series = phase == LVN_PHASE_PV ? 0 : 1;
    lesion.phases[phase].is_reference = phase == LVN_PHASE_PV;
    lesion.phases[phase].alignment.is_usable = true;
  }
  lesion.phases[LVN_PHASE_DL].series = SIZE_MAX;
  lesion.prediction.classes = LVN_CLASSES_PAPER;
  lvn_copy(lesion.prediction.abstention_reason, sizeof lesion.prediction.abstention_reason, "No reason.");
}

int setup(void **state) {
  auto *f = new fixture();
  char folder[SCRATCH_BYTES];
  f->folder = scratch_make(folder);
  write_template(f);
  for (size_t i = 0; i < 2; i++) {
    fill_series(f, i);
  }
  fill_masks(f);
  for (size_t i = 0; i < 2; i++) {
    fill_lesion(f, i);
  }
  f->findings.template_path = f->template_path.c_str();
  f->findings.model = {"demo-phantom", "1.0.0", "2.25.99", "cpu", "phantoms", "", 1.4, 32, -100, 250, true};
  f->findings.series = f->series;
  f->findings.series_count = 2;
  f->findings.lesions = f->lesions;
  f->findings.lesion_count = 2;
  f->request = {f->folder.c_str(), "job-1", 1795320000000, nullptr, 0, "LIVERVLM", "node1", "0.1.0", nullptr};
  *state = f;
  return 0;
}

int teardown(void **state) {
  auto *f = static_cast<fixture *>(*state);
  for (auto &mask : f->masks) {
    lvn_mask_clear(&mask);
  }
  lvn_mask_clear(&f->carried);
  lvn_free(f->findings.objects);
  scratch_remove(f->folder.c_str());
  delete f;
  return 0;
}

using Writer = bool (*)(struct lvn_findings *, const struct lvn_result_request *, struct lvn_error *);

bool write_pdf(struct lvn_findings *findings, const struct lvn_result_request *request, struct lvn_error *err) {
  static const uint8_t pdf[] = "%PDF-1.5 odd";
  return lvn_result_write_document(findings, request, pdf, sizeof pdf - 1, err);
}

// The index of the first object that it wrote.
size_t write(fixture *f, Writer writer) {
  struct lvn_error error = {};
  const size_t before = f->findings.object_count;
  if (!writer(&f->findings, &f->request, &error)) {
    fail_msg("%s", error.message);
  }
  return before;
}

void load(const fixture *f, size_t object, DcmFileFormat &file) {
  assert_true(object < f->findings.object_count);
  assert_true(file.loadFile(f->findings.objects[object].path).good());
}

DcmItem &item_at(DcmItem &item, const DcmTagKey &tag, signed long index) {
  DcmItem *found = nullptr;
  assert_true(item.findAndGetSequenceItem(tag, found, index).good());
  return *found;
}

size_t count_of(DcmItem &item, const DcmTagKey &tag) {
  DcmSequenceOfItems *sequence = nullptr;
  return item.findAndGetSequence(tag, sequence).good() ? sequence->card() : 0;
}

std::string string_of(DcmItem &item, const DcmTagKey &tag) {
  OFString value;
  return item.findAndGetOFStringArray(tag, value).good() ? value.c_str() : "";
}

unsigned number_of(DcmItem &item, const DcmTagKey &tag) {
  Uint16 value = 0;
  item.findAndGetUint16(tag, value);
  return value;
}

// The voxels of one segment by its frames' source images, as a reader would put them together.
std::set<std::vector<uint32_t>> voxels_of(DcmDataset &dataset, unsigned segment) {
  std::set<std::vector<uint32_t>> voxels;
  const Uint8 *bytes = nullptr;
  assert_true(dataset.findAndGetUint8Array(DCM_PixelData, bytes).good());
  for (size_t f = 0; f < count_of(dataset, DCM_PerFrameFunctionalGroupsSequence); f++) {
    DcmItem &groups = item_at(dataset, DCM_PerFrameFunctionalGroupsSequence, static_cast<signed long>(f));
    DcmItem &source = item_at(item_at(groups, DCM_DerivationImageSequence, 0), DCM_SourceImageSequence, 0);
    const std::string uid = string_of(source, DCM_ReferencedSOPInstanceUID);
    uint32_t slice = 0;
    while (slice < slices && uid != uids[slice]) {
      slice++;
    }
    if (uid == enhanced) {
      slice = static_cast<uint32_t>(std::stoul(string_of(source, DCM_ReferencedFrameNumber))) - 1;
    }
    for (size_t i = 0; i < columns * rows; i++) {
      const size_t bit = f * columns * rows + i;
      if (number_of(item_at(groups, DCM_SegmentIdentificationSequence, 0), DCM_ReferencedSegmentNumber) == segment &&
          ((bytes[bit / 8] >> (bit % 8)) & 1) != 0) {
        voxels.insert({static_cast<uint32_t>(i % columns), static_cast<uint32_t>(i / columns), slice});
      }
    }
  }
  return voxels;
}

const std::set<std::vector<uint32_t>> first_lesion = {{2, 1, 1}, {3, 2, 1}, {2, 1, 3}, {3, 1, 3}, {4, 4, 3}};
const std::set<std::vector<uint32_t>> last_pixel = {{columns - 1, rows - 1, 3}};

void test_write_objects__segments_are_the_rois(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  load(f, write(f, lvn_result_write_segmentations), file);
  DcmDataset &dataset = *file.getDataset();
  assert_int_equal(f->findings.object_count, 1);
  assert_string_equal(f->findings.not_made, "");
  assert_string_equal(string_of(dataset, DCM_NumberOfFrames).c_str(), "3"); // slice 2 has nothing of lesion 0
  assert_true(voxels_of(dataset, 1) == first_lesion);
  assert_true(voxels_of(dataset, 2) == last_pixel);
  DcmItem &segment = item_at(dataset, DCM_SegmentSequence, 0);
  assert_string_equal(string_of(segment, DCM_TrackingUID).c_str(), "2.25.1");
  assert_string_equal(string_of(segment, DCM_TrackingID).c_str(),
                      "Cornerstone3DTools@^0.1.0:PlanarFreehandROI:Nodule A"); // the report's
  assert_string_equal(string_of(segment, DCM_SegmentLabel).c_str(), "Nodule A");
  assert_string_equal(string_of(segment, DCM_SegmentAlgorithmType).c_str(), "MANUAL");
  assert_string_equal(string_of(item_at(dataset, DCM_SegmentSequence, 1), DCM_TrackingID).c_str(),
                      "Cornerstone3DTools@^0.1.0:PlanarFreehandROI:Lesion 2");
  DcmItem &position = item_at(item_at(dataset, DCM_PerFrameFunctionalGroupsSequence, 1), DCM_PlanePositionSequence, 0);
  assert_string_equal(string_of(position, DCM_ImagePositionPatient).c_str(), "-10\\-20\\45");
  DcmItem &series = item_at(dataset, DCM_ReferencedSeriesSequence, 0);
  assert_string_equal(string_of(series, DCM_SeriesInstanceUID).c_str(), "1.2.3.100");
  assert_int_equal(count_of(series, DCM_ReferencedInstanceSequence), 2); // only the images with frames
}

void test_write_objects__frames_of_a_multi_frame_image(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  for (uint32_t k = 0; k < slices; k++) {
    f->frames[0][k].image.sop_class_uid = UID_EnhancedCTImageStorage;
    f->frames[0][k].image.sop_instance_uid = enhanced;
    f->frames[0][k].image.frame_number = k + 1;
  }
  load(f, write(f, lvn_result_write_segmentations), file);
  DcmItem &series = item_at(*file.getDataset(), DCM_ReferencedSeriesSequence, 0);
  assert_true(voxels_of(*file.getDataset(), 1) == first_lesion);
  assert_int_equal(count_of(series, DCM_ReferencedInstanceSequence), 1);
  load(f, write(f, lvn_result_write_presentations), file);
  DcmItem &shown = item_at(*file.getDataset(), DCM_ReferencedSeriesSequence, 0);
  assert_int_equal(count_of(shown, DCM_ReferencedImageSequence), 1);
  assert_string_equal(string_of(item_at(shown, DCM_ReferencedImageSequence, 0), DCM_ReferencedFrameNumber).c_str(),
                      "2\\4");
}

void test_write_objects__phases_have_what_was_carried_there(void **state) {
  auto *f = static_cast<fixture *>(*state);
  struct lvn_error error = {};
  DcmFileFormat file;
  struct lvn_grid part = grid; // begins at voxel (4, 2, 1)
  part.size[0] = 3;
  part.size[1] = 2;
  part.size[2] = 2;
  assert_true(lvn_mask_create(&part, &f->carried, &error));
  f->carried.inside[0] = f->carried.inside[11] = 1;
  f->lesions[0].phases[LVN_PHASE_ART].place.is_found = true;
  f->lesions[0].phases[LVN_PHASE_ART].place.region = {&f->carried, {4, 2, 1}};
  f->lesions[0].phases[LVN_PHASE_NC].alignment.is_usable = false;
  load(f, write(f, lvn_result_write_phase_segmentations), file);
  assert_int_equal(f->findings.object_count, 1);
  assert_true((voxels_of(*file.getDataset(), 1) == std::set<std::vector<uint32_t>>{{4, 2, 1}, {6, 3, 2}}));
  assert_string_equal(string_of(item_at(*file.getDataset(), DCM_SegmentSequence, 0), DCM_SegmentAlgorithmType).c_str(),
                      "SEMIAUTOMATIC");
  assert_non_null(std::strstr(f->findings.not_made, "no segment of lesion 1 on series 4: the phase could not be"));
  assert_non_null(std::strstr(f->findings.not_made, "no segment of lesion 2 on series 4: it lies off these images"));
}

void test_write_objects__a_resampled_series_is_left_out(void **state) {
  auto *f = static_cast<fixture *>(*state);
  f->frames[0][3].position_mm[1] += 1; // gantry tilt
  f->series[0].geometry_note = "gantry tilt resampled";
  write(f, lvn_result_write_segmentations);
  write(f, lvn_result_write_presentations);
  assert_int_equal(f->findings.object_count, 0);
  assert_non_null(std::strstr(f->findings.not_made, "no segmentation of series 3: series 3 was resampled"));
  assert_non_null(std::strstr(f->findings.not_made, "(gantry tilt resampled)"));
  assert_non_null(std::strstr(f->findings.not_made, "no presentation state of lesion 1"));
}

void test_write_objects__outlines_on_each_image(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  load(f, write(f, lvn_result_write_presentations), file);
  DcmDataset &dataset = *file.getDataset();
  assert_int_equal(f->findings.object_count, 1);
  assert_int_equal(count_of(dataset, DCM_GraphicAnnotationSequence), 2); // slices 1 and 3
  DcmItem &last = item_at(dataset, DCM_GraphicAnnotationSequence, 1);
  assert_string_equal(string_of(item_at(last, DCM_ReferencedImageSequence, 0), DCM_ReferencedSOPInstanceUID).c_str(),
                      uids[3]);
  assert_int_equal(count_of(last, DCM_GraphicObjectSequence), 3); // two parts of lesion 0, lesion 1
  const Float32 *points = nullptr;
  unsigned long count = 0;
  DcmItem &corner = item_at(last, DCM_GraphicObjectSequence, 2);
  std::set<std::pair<Float32, Float32>> corners;
  assert_true(corner.findAndGetFloat32Array(DCM_GraphicData, points, &count).good());
  for (unsigned long i = 0; i < count; i += 2) {
    corners.insert({points[i], points[i + 1]});
  }
  assert_int_equal(count, 10);
  assert_true((corners == std::set<std::pair<Float32, Float32>>{{8, 6}, {9, 6}, {8, 7}, {9, 7}}));
  assert_string_equal(string_of(dataset, DCM_RescaleIntercept).c_str(), "-1024");
  assert_string_equal(string_of(item_at(dataset, DCM_SoftcopyVOILUTSequence, 0), DCM_WindowCenter).c_str(), "75");
  assert_string_equal(string_of(item_at(dataset, DCM_SoftcopyVOILUTSequence, 0), DCM_WindowWidth).c_str(), "350");
  const Sint32 *area = nullptr;
  assert_true(item_at(dataset, DCM_DisplayedAreaSelectionSequence, 0)
                  .findAndGetSint32Array(DCM_DisplayedAreaBottomRightHandCorner, area)
                  .good());
  assert_true(area[0] == columns && area[1] == rows);
}

// One Modality LUT serves all images of a presentation state.
void test_write_objects__each_rescale_has_its_own_state(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  f->frames[0][3].rescale_intercept = 0;
  const size_t first = write(f, lvn_result_write_presentations);
  assert_int_equal(f->findings.object_count, 2);
  for (size_t i = 0; i < 2; i++) {
    load(f, first + i, file);
    assert_int_equal(count_of(*file.getDataset(), DCM_GraphicAnnotationSequence), 1);
    assert_string_equal(string_of(*file.getDataset(), DCM_RescaleIntercept).c_str(), i == 0 ? "-1024" : "0");
  }
  assert_string_not_equal(f->findings.objects[0].sop_instance_uid, f->findings.objects[1].sop_instance_uid);
}

std::vector<std::string> selected(DcmItem &dataset) {
  std::vector<std::string> found;
  for (size_t i = 0; i < count_of(dataset, DCM_ContentSequence); i++) {
    DcmItem &item = item_at(dataset, DCM_ContentSequence, static_cast<signed long>(i));
    if (count_of(item, DCM_ReferencedSOPSequence) == 1) {
      found.push_back(string_of(item, DCM_ValueType) + " " +
                      string_of(item_at(item, DCM_ReferencedSOPSequence, 0), DCM_ReferencedSOPInstanceUID));
    }
  }
  return found;
}

std::string described(DcmItem &dataset) {
  for (size_t i = 0; i < count_of(dataset, DCM_ContentSequence); i++) {
    DcmItem &item = item_at(dataset, DCM_ContentSequence, static_cast<signed long>(i));
    if (string_of(item_at(item, DCM_ConceptNameCodeSequence, 0), DCM_CodeValue) == "113012") {
      return string_of(item, DCM_TextValue);
    }
  }
  return "";
}

void test_write_objects__key_objects_name_the_report(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  f->lesions[1].phases[LVN_PHASE_ART].alignment.is_usable = false;
  f->slice[1].phases[LVN_PHASE_ART] = f->frames[1][1].image;
  const size_t alone = write(f, lvn_result_write_key_objects);
  load(f, alone, file);
  assert_true(
      (selected(*file.getDataset()) == std::vector<std::string>{"IMAGE 1.2.3.13", "IMAGE 1.2.3.10", "IMAGE 1.2.3.12"}));
  const std::string plain = described(*file.getDataset());
  f->request.replaced_wall_ms = f->request.wall_ms - 60000; // results that were sent without a report
  load(f, write(f, lvn_result_write_key_objects), file);
  assert_null(std::strstr(plain.c_str(), "This replaces"));
  assert_non_null(std::strstr(described(*file.getDataset()).c_str(), "This replaces the results of 2026-11-22"));
  f->findings.object_count = 0;
  const size_t report = write(f, lvn_result_write_report);
  const std::string report_uid = f->findings.objects[report].sop_instance_uid;
  load(f, write(f, lvn_result_write_key_objects), file);
  const std::vector<std::string> both = selected(*file.getDataset());
  assert_int_equal(both.size(), 4);
  assert_string_equal(both[3].c_str(), ("COMPOSITE " + report_uid).c_str());
}

// What the report does not refer to in its tree is in its evidence: the whole of what was made for the study.
void test_write_objects__the_report_lists_what_was_made(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  std::set<std::string> known;
  const Writer writers[] = {lvn_result_write_segmentations, lvn_result_write_presentations, write_pdf};
  for (const Writer writer : writers) {
    write(f, writer);
  }
  lvn_findings_leave_out(&f->findings, "segmentation of series 9", "of a test");
  load(f, write(f, lvn_result_write_report), file);
  DcmItem &study = item_at(*file.getDataset(), DCM_CurrentRequestedProcedureEvidenceSequence, 0);
  for (size_t s = 0; s < count_of(study, DCM_ReferencedSeriesSequence); s++) {
    DcmItem &series = item_at(study, DCM_ReferencedSeriesSequence, static_cast<signed long>(s));
    for (size_t i = 0; i < count_of(series, DCM_ReferencedSOPSequence); i++) {
      known.insert(string_of(series, DCM_SeriesInstanceUID) + " " +
                   string_of(item_at(series, DCM_ReferencedSOPSequence, static_cast<signed long>(i)),
                             DCM_ReferencedSOPInstanceUID));
    }
  }
  for (size_t i = 0; i < 3; i++) {
    DcmFileFormat object;
    load(f, i, object);
    assert_int_equal(known.count(string_of(*object.getDataset(), DCM_SeriesInstanceUID) + " " +
                                 f->findings.objects[i].sop_instance_uid),
                     1);
  }
  bool is_said = false;
  DcmItem &evaluations = item_at(*file.getDataset(), DCM_ContentSequence, -1);
  for (size_t i = 0; i < count_of(evaluations, DCM_ContentSequence); i++) {
    DcmItem &item = item_at(evaluations, DCM_ContentSequence, static_cast<signed long>(i));
    is_said = is_said || string_of(item, DCM_TextValue) == "no segmentation of series 9: of a test";
  }
  assert_true(is_said);
}

const Writer all_writers[] = {lvn_result_write_segmentations, lvn_result_write_presentations, write_pdf,
                              lvn_result_write_report, lvn_result_write_key_objects};

void test_write_objects__same_job_same_bytes_and_later_job_other_uids(void **state) {
  auto *f = static_cast<fixture *>(*state);
  struct lvn_error error = {};
  std::vector<std::vector<uint8_t>> digests;
  std::vector<std::string> first_uids;
  for (int round = 0; round < 3; round++) {
    f->findings.object_count = 0;
    f->request.job_key = round == 2 ? "job-2" : "job-1";
    f->request.replaced_key = round == 2 ? "job-1" : nullptr;
    for (const Writer writer : all_writers) {
      write(f, writer);
    }
    for (size_t i = 0; i < f->findings.object_count; i++) {
      std::vector<uint8_t> digest(LVN_SHA256_BYTES);
      assert_true(lvn_sha256_of_file(f->findings.objects[i].path, digest.data(), &error));
      if (round == 0) {
        digests.push_back(digest);
        first_uids.emplace_back(f->findings.objects[i].sop_instance_uid);
      } else if (round == 1) {
        assert_true(digest == digests[i]);
      } else {
        assert_string_not_equal(f->findings.objects[i].sop_instance_uid, first_uids[i].c_str());
      }
    }
  }
  assert_int_equal(std::set<std::string>(first_uids.begin(), first_uids.end()).size(), 5);
}

using damage = std::function<void(DcmItem &)>;

// The undamaged copy passes; the damaged one fails, and the message names `word`.
void check_damage(const fixture *f, size_t object, const char *word, const damage &apply) {
  struct lvn_error error = {};
  const std::string path = f->folder + "/damaged.dcm";
  DcmFileFormat file;
  load(f, object, file);
  assert_true(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
  if (!lvn_result_check(path.c_str(), &error)) {
    fail_msg("the copy itself fails: %s", error.message);
  }
  load(f, object, file);
  apply(*file.getDataset());
  assert_true(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
  if (lvn_result_check(path.c_str(), &error)) {
    fail_msg("damage '%s' was not noticed", word);
  }
  if (std::strstr(error.message, word) == nullptr) {
    fail_msg("'%s' does not name '%s'", error.message, word);
  }
}

damage set_value(const DcmTagKey &tag, const char *value) {
  return [=](DcmItem &dataset) { assert_true(dataset.putAndInsertString(tag, value).good()); };
}

damage remove_tag(const DcmTagKey &tag) {
  return [=](DcmItem &dataset) { assert_true(dataset.findAndDeleteElement(tag).good()); };
}

// A map of 2 x 2 samples, twice as fine as the images, on the key slice; where there is no answer there is no map.
void test_write_objects__maps_lie_on_the_key_slice(void **state) {
  auto *f = static_cast<fixture *>(*state);
  float heat[4] = {0, 0.25F, 0.5F, 1};
  DcmFileFormat file;
  struct lvn_findings_lesion &lesion = f->lesions[1];
  lesion.heat = heat;
  lesion.heat_side = 2;
  lesion.heat_first_index[0] = 2.5;
  lesion.heat_first_index[1] = 4;
  lesion.heat_step_index[0] = lesion.heat_step_index[1] = 0.5;
  lesion.prediction.has_probability = true;
  lesion.prediction.probability[LVN_CLASS_HCC] = 1;
  const size_t map = write(f, lvn_result_write_maps);
  load(f, map, file);
  DcmDataset &dataset = *file.getDataset();
  assert_int_equal(f->findings.object_count, 1);
  assert_string_equal(f->findings.not_made, "no parametric map of lesion 1: the network's answer is not used");
  DcmItem &frame = item_at(dataset, DCM_PerFrameFunctionalGroupsSequence, 0);
  DcmItem &measures = item_at(item_at(dataset, DCM_SharedFunctionalGroupsSequence, 0), DCM_PixelMeasuresSequence, 0);
  assert_string_equal(string_of(item_at(frame, DCM_PlanePositionSequence, 0), DCM_ImagePositionPatient).c_str(),
                      "-8\\-16.4\\45");
  assert_string_equal(string_of(measures, DCM_PixelSpacing).c_str(), "0.45\\0.4");
  const Float32 *values = nullptr;
  assert_true(dataset.findAndGetFloat32Array(DCM_FloatPixelData, values).good());
  assert_memory_equal(values, heat, sizeof heat);
  check_damage(f, map, "leaves 0 to 1", [](DcmItem &d) {
    const Float32 hot[4] = {0, 0, 0, 1.5F};
    d.putAndInsertFloat32Array(DCM_FloatPixelData, hot, 4);
  });
  check_damage(f, map, "length", [](DcmItem &d) { d.putAndInsertUint16(DCM_Rows, 3); });
  check_damage(f, map, "mapping", [](DcmItem &d) {
    item_at(d, DCM_SharedFunctionalGroupsSequence, 0).findAndDeleteElement(DCM_RealWorldValueMappingSequence);
  });
  check_damage(f, map, "ContentQualification", set_value(DCM_ContentQualification, "PRODUCT"));
}

void test_write_objects__check_finds_damaged_segmentations(void **state) {
  auto *f = static_cast<fixture *>(*state);
  const size_t seg = write(f, lvn_result_write_segmentations);
  check_damage(f, seg, "SegmentationType", set_value(DCM_SegmentationType, "FRACTIONAL"));
  check_damage(f, seg, "number of frames", set_value(DCM_NumberOfFrames, "4"));
  check_damage(f, seg, "FrameOfReferenceUID", remove_tag(DCM_FrameOfReferenceUID));
  check_damage(f, seg, "no image", remove_tag(DCM_ReferencedSeriesSequence));
  check_damage(f, seg, "length", [](DcmItem &d) { d.putAndInsertUint16(DCM_Rows, rows + 1); });
  check_damage(f, seg, "empty", [](DcmItem &d) {
    const Uint8 none[24] = {};
    d.putAndInsertUint8Array(DCM_PixelData, none, 24);
  });
  check_damage(f, seg, "TrackingUID",
               [](DcmItem &d) { item_at(d, DCM_SegmentSequence, 0).putAndInsertString(DCM_TrackingUID, "1..2"); });
  check_damage(f, seg, "category", [](DcmItem &d) {
    item_at(d, DCM_SegmentSequence, 0).findAndDeleteElement(DCM_SegmentedPropertyCategoryCodeSequence);
  });
  check_damage(f, seg, "source image", [](DcmItem &d) {
    DcmItem &groups = item_at(d, DCM_PerFrameFunctionalGroupsSequence, 0);
    item_at(item_at(groups, DCM_DerivationImageSequence, 0), DCM_SourceImageSequence, 0)
        .putAndInsertString(DCM_ReferencedSOPInstanceUID, "1.2.3.999");
  });
  check_damage(f, seg, "without frames", [](DcmItem &d) {
    DcmItem &groups = item_at(d, DCM_PerFrameFunctionalGroupsSequence, 2);
    item_at(groups, DCM_SegmentIdentificationSequence, 0).putAndInsertUint16(DCM_ReferencedSegmentNumber, 1);
    const Uint32 index[] = {1, 4};
    item_at(groups, DCM_FrameContentSequence, 0).putAndInsertUint32Array(DCM_DimensionIndexValues, index, 2);
  });
}

void test_write_objects__check_finds_damaged_presentations(void **state) {
  auto *f = static_cast<fixture *>(*state);
  const size_t gsps = write(f, lvn_result_write_presentations);
  const auto graphic = [](DcmItem &d) -> DcmItem & {
    return item_at(item_at(d, DCM_GraphicAnnotationSequence, 0), DCM_GraphicObjectSequence, 0);
  };
  check_damage(f, gsps, "RescaleIntercept", remove_tag(DCM_RescaleIntercept));
  check_damage(f, gsps, "PresentationLUTShape", set_value(DCM_PresentationLUTShape, "INVERSE"));
  check_damage(f, gsps, "window", remove_tag(DCM_SoftcopyVOILUTSequence));
  check_damage(f, gsps, "displayed area", remove_tag(DCM_DisplayedAreaSelectionSequence));
  check_damage(f, gsps, "layer", [](DcmItem &d) {
    item_at(d, DCM_GraphicLayerSequence, 0).putAndInsertString(DCM_GraphicLayer, "OTHER");
  });
  check_damage(f, gsps, "GraphicAnnotationUnits",
               [&](DcmItem &d) { graphic(d).putAndInsertString(DCM_GraphicAnnotationUnits, "DISPLAY"); });
  check_damage(f, gsps, "leaves", [&](DcmItem &d) {
    const Float32 wide[] = {1, 1, 10, 1, 10, 2, 1, 1};
    graphic(d).putAndInsertFloat32Array(DCM_GraphicData, wide, 8);
    graphic(d).putAndInsertUint16(DCM_NumberOfGraphicPoints, 4);
  });
  check_damage(f, gsps, "not referenced", [](DcmItem &d) {
    item_at(item_at(d, DCM_GraphicAnnotationSequence, 0), DCM_ReferencedImageSequence, 0)
        .putAndInsertString(DCM_ReferencedSOPInstanceUID, "1.2.3.999");
  });
  check_damage(f, gsps, "research notice", [](DcmItem &d) {
    item_at(d, DCM_GraphicAnnotationSequence, 0).findAndDeleteElement(DCM_TextObjectSequence);
  });
}

void test_write_objects__check_finds_damaged_documents(void **state) {
  auto *f = static_cast<fixture *>(*state);
  const size_t kos = write(f, lvn_result_write_key_objects);
  const size_t pdf = write(f, write_pdf);
  check_damage(f, kos, "title", [](DcmItem &d) {
    item_at(d, DCM_ConceptNameCodeSequence, 0).putAndInsertString(DCM_CodeValue, "113000");
  });
  check_damage(f, kos, "evidence", remove_tag(DCM_CurrentRequestedProcedureEvidenceSequence));
  check_damage(f, kos, "not in the evidence", [](DcmItem &d) {
    item_at(item_at(d, DCM_ContentSequence, -1), DCM_ReferencedSOPSequence, 0)
        .putAndInsertString(DCM_ReferencedSOPInstanceUID, "1.2.3.999");
  });
  check_damage(f, pdf, "MIMETypeOfEncapsulatedDocument", set_value(DCM_MIMETypeOfEncapsulatedDocument, "text/XML"));
  check_damage(f, pdf, "no PDF", [](DcmItem &d) {
    d.putAndInsertUint8Array(DCM_EncapsulatedDocument, reinterpret_cast<const Uint8 *>("plain text"), 10);
  });
  check_damage(f, pdf, "BurnedInAnnotation", set_value(DCM_BurnedInAnnotation, "YES"));
  check_damage(f, pdf, "SourceInstanceSequence", remove_tag(DCM_SourceInstanceSequence));
}

} // namespace

#define CASE(name) cmocka_unit_test_setup_teardown(test_write_objects__##name, setup, teardown)

int main() {
  const struct CMUnitTest tests[] = {
      CASE(segments_are_the_rois),
      CASE(frames_of_a_multi_frame_image),
      CASE(phases_have_what_was_carried_there),
      CASE(a_resampled_series_is_left_out),
      CASE(outlines_on_each_image),
      CASE(each_rescale_has_its_own_state),
      CASE(key_objects_name_the_report),
      CASE(maps_lie_on_the_key_slice),
      CASE(the_report_lists_what_was_made),
      CASE(same_job_same_bytes_and_later_job_other_uids),
      CASE(check_finds_damaged_segmentations),
      CASE(check_finds_damaged_presentations),
      CASE(check_finds_damaged_documents),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
