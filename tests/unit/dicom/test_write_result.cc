// The result objects, and that the check of them can fail: each case damages one thing.
#include "base/file.h"
#include "base/memory.h"
#include "dicom/write/phantom_objects.h"
#include "dicom/write/result.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>

#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <setjmp.h>
extern "C" {
#include <cmocka.h>
}

#include "tests/unit/scratch.h"

namespace {

struct lvn_contour_point square[] = {{10, 10}, {20, 10}, {20, 30}, {10, 30}};
struct lvn_contour_point other_square[] = {{40, 40}, {45, 40}, {45, 45}, {40, 45}};
struct lvn_contour outlines[2] = {{square, 4}, {other_square, 4}};
const struct lvn_findings_image images[4] = {{UID_CTImageStorage, "1.2.3.10", "1.2.3.100", 0, 1, 0},
                                             {UID_CTImageStorage, "1.2.3.11", "1.2.3.101", 0, 1, 0},
                                             {UID_CTImageStorage, "1.2.3.12", "1.2.3.102", 0, 1, 0},
                                             {UID_CTImageStorage, "1.2.3.13", "1.2.3.103", 0, 1, 0}};
const char *const reasons[4] = {"before injection", "35 s", "70 s", "75 s"};
const struct lvn_grid supine = {{8, 8, 1}, {1, 1, 5}, {0, 0, 0}, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
const struct lvn_grid prone = {{8, 8, 1}, {1, 1, 5}, {0, 0, 0}, {{-1, 0, 0}, {0, -1, 0}, {0, 0, 1}}};

struct fixture {
  std::string folder;
  std::string template_path;
  struct lvn_findings_evidence evidence[4];
  struct lvn_findings_series series[4]; // NC, ART, PV, and a second PV
  struct lvn_findings_slice slices[3];
  struct lvn_findings_lesion lesions[3];
  struct lvn_findings findings;
  struct lvn_result_request request;
};

std::string write_template(const std::string &folder) {
  struct lvn_error error = {};
  struct lvn_volume volume = {};
  const struct lvn_write_study study = {"1.2.3.4", "1.2.3.5",  "PHANTOM-1", "Phantom^Seed 1",
                                        "1",       "ACC-0001", "20261122",  "101500"};
  const struct lvn_write_series series = {"1.2.3.6", "seed",  4, "PV", "Liver", "101634",
                                          nullptr,   nullptr, 5, "B",  nullptr};
  assert_true(lvn_volume_create(&supine, &volume, &error));
  assert_true(lvn_write_ct_series(folder.c_str(), &study, &series, &volume, nullptr, &error));
  lvn_volume_clear(&volume);
  return folder + "/0001.dcm";
}

struct lvn_findings_lesion make_lesion(struct lvn_findings_slice *slice, const char *tracking_uid) {
  struct lvn_error error = {};
  struct lvn_findings_lesion lesion = {};
  *slice = {images[2], {images[0], images[1], images[2], {}}};
  lesion.tracking_id = "Lesion 1";
  lesion.tracking_uid = tracking_uid;
  lesion.series = 2;
  lesion.slices = slice;
  lesion.slice_count = 1;
  lesion.contours = {outlines, 1};
  lesion.prediction.classes = LVN_CLASSES_PAPER;
  lesion.prediction.has_probability = true;
  lesion.prediction.probability[LVN_CLASS_CYST] = 0.02;
  lesion.prediction.probability[LVN_CLASS_FNH] = 0.05;
  lesion.prediction.probability[LVN_CLASS_HCC] = 0.9;
  lesion.prediction.probability[LVN_CLASS_HEM] = 0.03;
  lesion.prediction.top_class = LVN_CLASS_HCC;
  lesion.long_axis_mm = 33.4;
  lesion.short_axis_mm = 28.1;
  lesion.volume_ml = 14.2;
  assert_true(lvn_picture_create(31, 21, &lesion.capture, &error)); // odd: the pixel data needs padding
  for (unsigned i = 0; i < LVN_PHASE_NETWORK_COUNT; i++) {
    lesion.phases[i].series = i;
    lesion.phases[i].is_reference = i == LVN_PHASE_PV;
    lesion.phases[i].alignment.is_usable = true;
    lesion.phases[i].alignment.estimated_error_mm = i == LVN_PHASE_PV ? NAN : 1.1;
    lesion.phases[i].mean_hu = i == LVN_PHASE_ART ? NAN : 50;
    lesion.phases[i].liver_hu = 60;
  }
  lesion.phases[LVN_PHASE_DL].series = SIZE_MAX;
  lesion.pixels_across[0] = 10;
  lesion.pixels_across[1] = 20;
  lesion.prediction.conformal_set = 1U << LVN_CLASS_HCC | 1U << LVN_CLASS_FNH;
  lesion.prediction.conformal_coverage = 0.9;
  lesion.prediction.outlier_score = 1.5;
  lesion.prediction.outlier_limit = 3;
  lesion.prediction.outlier_alarm_rate = 0.05;
  lesion.prediction.map_share = 0.2;
  lesion.prediction.map_share_limit = 0.3;
  return lesion;
}

void abstain(struct lvn_findings_lesion &lesion, const char *reason) {
  lesion.prediction.abstained = true;
  lvn_copy(lesion.prediction.abstention_reason, sizeof lesion.prediction.abstention_reason, reason);
}

int setup(void **state) {
  auto *f = new fixture();
  char folder[SCRATCH_BYTES];
  f->folder = scratch_make(folder);
  f->template_path = write_template(f->folder);
  for (int i = 0; i < 4; i++) {
    f->evidence[i].text = reasons[i];
    f->series[i].series_instance_uid = images[i].series_instance_uid;
    f->series[i].series_number = i + 2;
    f->series[i].grid = &supine;
    f->series[i].evidence = &f->evidence[i];
    f->series[i].evidence_count = 1;
  }
  const char *const tracking_uids[] = {"2.25.1", "2.25.2", "2.25.3"};
  for (int i = 0; i < 3; i++) {
    f->lesions[i] = make_lesion(&f->slices[i], tracking_uids[i]);
  }
  f->lesions[1].contours.count = 2;
  abstain(f->lesions[1], "The two most likely classes are too close.");
  f->lesions[2].prediction.has_probability = false;
  abstain(f->lesions[2], "The arterial phase could not be aligned.");
  f->findings.template_path = f->template_path.c_str();
  f->findings.model = {"demo-phantom", "1.0.0", "2.25.99", "cpu", "phantoms", "", 1.4, 32, -100, 250, true};
  f->findings.series = f->series;
  f->findings.series_count = 4;
  f->findings.lesions = f->lesions;
  f->findings.lesion_count = 3;
  f->request = {f->folder.c_str(), "job-1", 1795320000000, nullptr, 0, "LIVERVLM", "node1", "0.1.0", nullptr};
  *state = f;
  return 0;
}

int teardown(void **state) {
  auto *f = static_cast<fixture *>(*state);
  for (auto &lesion : f->lesions) {
    lvn_picture_clear(&lesion.capture);
  }
  lvn_free(f->findings.objects);
  scratch_remove(f->folder.c_str());
  delete f;
  return 0;
}

bool write_both(fixture *f, struct lvn_error *error) {
  f->findings.object_count = 0;
  return lvn_result_write_captures(&f->findings, &f->request, error) &&
         lvn_result_write_report(&f->findings, &f->request, error);
}

void write(fixture *f) {
  struct lvn_error error = {};
  if (!write_both(f, &error)) {
    fail_msg("%s", error.message);
  }
}

DcmItem &item_at(DcmItem &item, const DcmTagKey &tag, signed long index) {
  DcmItem *found = nullptr;
  assert_true(item.findAndGetSequenceItem(tag, found, index).good());
  return *found;
}

std::string string_of(DcmItem &item, const DcmTagKey &tag) {
  OFString value;
  return item.findAndGetOFStringArray(tag, value).good() ? value.c_str() : "";
}

// The n-th content item of this concept code anywhere below `item`, in document order; null when there is none.
DcmItem *find_content(DcmItem &item, const char *code, int &nth) {
  DcmItem *child = nullptr;
  for (signed long i = 0; item.findAndGetSequenceItem(DCM_ContentSequence, child, i).good(); i++) {
    DcmItem *name = nullptr;
    if (child->findAndGetSequenceItem(DCM_ConceptNameCodeSequence, name).good() &&
        string_of(*name, DCM_CodeValue) == code && nth-- == 0) {
      return child;
    }
    if (DcmItem *found = find_content(*child, code, nth)) {
      return found;
    }
  }
  return nullptr;
}

DcmItem &content(DcmItem &item, const char *code, int nth) {
  DcmItem *found = find_content(item, code, nth);
  assert_non_null(found);
  return *found;
}

size_t count_content(DcmItem &item, const char *code) {
  size_t count = 0;
  for (int nth = 0; find_content(item, code, nth) != nullptr; nth = static_cast<int>(count)) {
    count++;
  }
  return count;
}

using damage = std::function<void(DcmItem &)>;

// The undamaged copy passes; the damaged one fails, and the message names `word`.
void check_damage(const fixture *f, size_t object, const char *word, const damage &apply) {
  struct lvn_error error = {};
  const std::string path = f->folder + "/damaged.dcm";
  DcmFileFormat file;
  assert_true(file.loadFile(f->findings.objects[object].path).good());
  assert_true(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
  if (!lvn_result_check(path.c_str(), &error)) {
    fail_msg("the copy itself fails: %s", error.message);
  }
  assert_true(file.loadFile(f->findings.objects[object].path).good());
  apply(*file.getDataset());
  assert_true(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
  if (lvn_result_check(path.c_str(), &error)) {
    fail_msg("damage '%s' was not noticed", word);
  }
  assert_int_equal(error.code, LVN_ERROR_INTERNAL);
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

void test_write_result__objects_and_their_order(void **state) {
  auto *f = static_cast<fixture *>(*state);
  write(f);
  assert_int_equal(f->findings.object_count, 4);
  for (size_t i = 0; i < 3; i++) {
    assert_string_equal(f->findings.objects[i].sop_class_uid, UID_SecondaryCaptureImageStorage);
  }
  assert_string_equal(f->findings.objects[3].sop_class_uid, UID_Comprehensive3DSRStorage);
}

// A series of a prone patient is not turned: its picture says so.
void test_write_result__capture_says_how_the_patient_lay(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  f->series[3].grid = &prone;
  f->lesions[0].series = 3;
  write(f);
  assert_true(file.loadFile(f->findings.objects[0].path).good());
  assert_string_equal(string_of(*file.getDataset(), DCM_PatientOrientation).c_str(), "R\\A");
  assert_true(file.loadFile(f->findings.objects[1].path).good());
  assert_string_equal(string_of(*file.getDataset(), DCM_PatientOrientation).c_str(), "L\\P");
}

void test_write_result__report_says_what_was_found(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  write(f);
  assert_true(file.loadFile(f->findings.objects[3].path).good());
  DcmDataset &dataset = *file.getDataset();
  const char *const findings[] = {"109841003", "52988006", "52988006"};
  for (int i = 0; i < 3; i++) {
    DcmItem &group = content(dataset, "125007", i);
    assert_string_equal(
        string_of(item_at(content(group, "121071", 0), DCM_ConceptCodeSequence, 0), DCM_CodeValue).c_str(),
        findings[i]);
    assert_int_equal(count_content(group, "PROB_HCC"), i == 2 ? 0 : 1);
    assert_int_equal(count_content(group, "ABSTAIN_REASON"), i == 0 ? 0 : 1);
    assert_int_equal(count_content(group, "111030"), i == 1 ? 2 : 1);
    assert_int_equal(count_content(group, "MEAN_HU_ART"), 0); // not a number: left out
    assert_int_equal(count_content(group, "MEAN_HU_NC"), 1);
    DcmItem &capture = item_at(content(group, "121200", 0), DCM_ReferencedSOPSequence, 0);
    assert_string_equal(string_of(capture, DCM_ReferencedSOPInstanceUID).c_str(),
                        f->findings.objects[i].sop_instance_uid);
  }
  DcmItem &value = item_at(content(dataset, "PROB_HCC", 0), DCM_MeasuredValueSequence, 0);
  assert_string_equal(string_of(value, DCM_NumericValue).c_str(), "90");
  assert_string_equal(string_of(dataset, DCM_PatientID).c_str(), "PHANTOM-1");
  assert_string_equal(string_of(dataset, DCM_StudyInstanceUID).c_str(), "1.2.3.4");
}

std::vector<std::string> instances_of_series(DcmItem &dataset, const char *series_uid) {
  std::vector<std::string> uids;
  DcmItem &study = item_at(dataset, DCM_CurrentRequestedProcedureEvidenceSequence, 0);
  DcmItem *series = nullptr;
  for (signed long i = 0; study.findAndGetSequenceItem(DCM_ReferencedSeriesSequence, series, i).good(); i++) {
    DcmItem *instance = nullptr;
    for (signed long k = 0; string_of(*series, DCM_SeriesInstanceUID) == series_uid &&
                            series->findAndGetSequenceItem(DCM_ReferencedSOPSequence, instance, k).good();
         k++) {
      uids.push_back(string_of(*instance, DCM_ReferencedSOPInstanceUID));
    }
  }
  return uids;
}

void test_write_result__every_roi_object_is_evidence(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  f->lesions[0].roi = {UID_RTStructureSetStorage, "1.2.3.20", "1.2.3.200"};
  f->lesions[1].roi = {UID_SegmentationStorage, "1.2.3.21", "1.2.3.201"};
  f->lesions[2].roi = {UID_RTStructureSetStorage, "1.2.3.20", "1.2.3.200"};
  write(f);
  assert_true(file.loadFile(f->findings.objects[3].path).good());
  assert_true((instances_of_series(*file.getDataset(), "1.2.3.200") == std::vector<std::string>{"1.2.3.20"}));
  assert_true((instances_of_series(*file.getDataset(), "1.2.3.201") == std::vector<std::string>{"1.2.3.21"}));
}

// Lesions that were drawn on different series of a phase: the study names all, each lesion its own.
void test_write_result__each_lesion_names_its_own_series(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  f->findings.lesion_count = 2;
  for (int i = 0; i < 2; i++) {
    f->lesions[i].phases[LVN_PHASE_ART].mean_hu = 50;
  }
  f->lesions[1].series = 3;
  f->lesions[1].phases[LVN_PHASE_PV].series = 3;
  f->slices[1].drawn = f->slices[1].phases[LVN_PHASE_PV] = images[3];
  write(f);
  assert_true(file.loadFile(f->findings.objects[2].path).good());
  DcmDataset &dataset = *file.getDataset();
  const char *const pv_images[] = {"1.2.3.12", "1.2.3.13"};
  for (int i = 0; i < 2; i++) {
    DcmItem &group = content(dataset, "125007", i);
    DcmItem &image = item_at(content(content(group, "MEAN_HU_PV", 0), "121112", 0), DCM_ReferencedSOPSequence, 0);
    assert_string_equal(string_of(image, DCM_ReferencedSOPInstanceUID).c_str(), pv_images[i]);
    assert_int_equal(count_content(group, "121112"), 3 + f->lesions[i].contours.count); // phases' means, area
    const std::string parameters = string_of(content(group, "111002", 0), DCM_TextValue);
    assert_non_null(std::strstr(parameters.c_str(), i == 0 ? "PV series 4" : "PV series 5"));
    const std::string state_text = string_of(content(group, "REG_STATE", 2), DCM_TextValue);
    assert_non_null(std::strstr(state_text.c_str(), "50 HU, +0 from non-contrast, -10 against liver"));
    assert_non_null(std::strstr(state_text.c_str(), i == 0 ? "series 4" : "series 5"));
  }
  assert_int_equal(count_content(dataset, "PHASE_EVIDENCE"), 4);
  assert_true((instances_of_series(dataset, "1.2.3.103") == std::vector<std::string>{"1.2.3.13"}));
}

void test_write_result__same_findings_same_bytes(void **state) {
  auto *f = static_cast<fixture *>(*state);
  struct lvn_error error = {};
  std::vector<std::vector<uint8_t>> first;
  for (int round = 0; round < 2; round++) {
    write(f);
    for (size_t i = 0; i < f->findings.object_count; i++) {
      std::vector<uint8_t> digest(LVN_SHA256_BYTES);
      assert_true(lvn_sha256_of_file(f->findings.objects[i].path, digest.data(), &error));
      if (round == 0) {
        first.push_back(digest);
      } else {
        assert_memory_equal(digest.data(), first[i].data(), LVN_SHA256_BYTES);
      }
    }
  }
}

void test_write_result__another_job_has_other_uids(void **state) {
  auto *f = static_cast<fixture *>(*state);
  write(f);
  const std::string uid = f->findings.objects[3].sop_instance_uid;
  f->request.job_key = "job-2";
  write(f);
  assert_string_not_equal(uid.c_str(), f->findings.objects[3].sop_instance_uid);
}

// A later report of the study says which one it replaces: by reference for machines, in words for people.
void test_write_result__replaced_report_is_named(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  write(f);
  const std::string first_uid = f->findings.objects[3].sop_instance_uid;
  assert_true(file.loadFile(f->findings.objects[3].path).good());
  const std::string first_series = string_of(*file.getDataset(), DCM_SeriesInstanceUID);
  assert_false(file.getDataset()->tagExists(DCM_PredecessorDocumentsSequence));
  f->request.job_key = "job-2";
  f->request.replaced_key = "job-1";
  f->request.replaced_wall_ms = f->request.wall_ms;
  f->request.wall_ms += 60000;
  write(f);
  assert_true(file.loadFile(f->findings.objects[3].path).good());
  DcmDataset &dataset = *file.getDataset();
  DcmItem &study = item_at(dataset, DCM_PredecessorDocumentsSequence, 0);
  DcmItem &series = item_at(study, DCM_ReferencedSeriesSequence, 0);
  DcmItem &report = item_at(series, DCM_ReferencedSOPSequence, 0);
  assert_string_equal(string_of(study, DCM_StudyInstanceUID).c_str(), "1.2.3.4");
  assert_string_equal(string_of(series, DCM_SeriesInstanceUID).c_str(), first_series.c_str());
  assert_string_equal(string_of(report, DCM_ReferencedSOPInstanceUID).c_str(), first_uid.c_str());
  assert_non_null(
      std::strstr(string_of(content(dataset, "STUDY_NOTE", 0), DCM_TextValue).c_str(), "of 2026-11-22 04:00:00:"));
  check_damage(f, 3, "replaces itself", [](DcmItem &d) {
    DcmItem &named = item_at(item_at(d, DCM_PredecessorDocumentsSequence, 0), DCM_ReferencedSeriesSequence, 0);
    item_at(named, DCM_ReferencedSOPSequence, 0)
        .putAndInsertString(DCM_ReferencedSOPInstanceUID, string_of(d, DCM_SOPInstanceUID).c_str());
  });
  check_damage(f, 3, "another study", [](DcmItem &d) {
    item_at(d, DCM_PredecessorDocumentsSequence, 0).putAndInsertString(DCM_StudyInstanceUID, "1.2.9");
  });
}

void test_write_result__careless_template_makes_valid_results(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  assert_true(file.loadFile(f->template_path.c_str()).good());
  DcmDataset &dataset = *file.getDataset();
  dataset.putAndInsertString(DCM_SpecificCharacterSet, "ISO_IR 100");
  dataset.putAndInsertString(DCM_PatientName, "M\xfcller^J\xf6rg");
  dataset.putAndInsertString(DCM_PatientSex, "W");
  dataset.putAndInsertString(DCM_StudyDate, "22.11.2026");
  dataset.putAndInsertString(DCM_StudyID, "a study id of more than 16");
  dataset.putAndInsertString(DCM_PatientAge, "old");
  dataset.findAndDeleteElement(DCM_AccessionNumber);
  dataset.findAndDeleteElement(DCM_ReferringPhysicianName);
  assert_true(file.saveFile(f->template_path.c_str(), EXS_LittleEndianExplicit).good());
  write(f);
  for (size_t i = 0; i < f->findings.object_count; i++) {
    assert_true(file.loadFile(f->findings.objects[i].path).good());
    DcmDataset &result = *file.getDataset();
    assert_string_equal(string_of(result, DCM_PatientName).c_str(), "M\xfcller^J\xf6rg");
    assert_string_equal(string_of(result, DCM_SpecificCharacterSet).c_str(), "ISO_IR 100");
    assert_true(result.tagExists(DCM_PatientSex) && !result.tagExistsWithValue(DCM_PatientSex));
    assert_true(result.tagExists(DCM_StudyDate) && !result.tagExistsWithValue(DCM_StudyDate));
    assert_true(result.tagExists(DCM_StudyID) && !result.tagExistsWithValue(DCM_StudyID));
    assert_true(result.tagExists(DCM_AccessionNumber));
    assert_false(result.tagExists(DCM_PatientAge));
  }
}

size_t count_numbers(DcmItem &group) {
  size_t count = 0;
  DcmItem *child = nullptr;
  for (signed long i = 0; group.findAndGetSequenceItem(DCM_ContentSequence, child, i).good(); i++) {
    count += string_of(*child, DCM_ValueType) == "NUM" ? 1 : 0;
  }
  return count;
}

// What a radiologist must know, in words, and for machines beside them.
void test_write_result__report_says_how_sure_it_is(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  f->lesions[0].short_axis_mm = 8;
  f->lesions[0].tracking_id = "Cornerstone3DTools@^0.1.0:CircleROI";
  write(f);
  assert_true(file.loadFile(f->findings.objects[3].path).good());
  DcmDataset &dataset = *file.getDataset();
  const auto text = [&](const char *code, int nth) { return string_of(content(dataset, code, nth), DCM_TextValue); };
  const auto number = [&](const char *code) {
    return string_of(item_at(content(dataset, code, 0), DCM_MeasuredValueSequence, 0), DCM_NumericValue);
  };
  assert_string_equal(text("ANSWER", 0).c_str(), "Lesion 1: Hepatocellular carcinoma, 90 %");
  assert_string_equal(text("ANSWER", 1).c_str(), "Lesion 2: Indeterminate. The two most likely classes are too close.");
  assert_string_equal(text("CONFORMAL_SET", 0).c_str(), "90 %: FNH or HCC");
  assert_int_equal(count_content(content(dataset, "CONFORMAL_SET", 0), "CONFORMAL_CLASS"), 2);
  assert_non_null(std::strstr(text("OUTLIER", 0).c_str(), "score 1.5, limit 3.0; 5 %"));
  assert_non_null(std::strstr(text("MAP", 0).c_str(), "points elsewhere: only 20 %"));
  assert_non_null(std::strstr(text("SMALL_LESION", 0).c_str(), "10 x 20 pixels"));
  assert_int_equal(count_content(content(dataset, "125007", 1), "SMALL_LESION"), 0);
  assert_string_equal(number("MAP_SHARE").c_str(), "20");
  assert_string_equal(number("OUTLIER_SCORE").c_str(), "1.5");
  assert_string_equal(number("VS_LIVER_HU").c_str(), "-10");
  assert_string_equal(number("42798000").c_str(), "200"); // 10 x 20 pixels of 1 mm2
  assert_int_equal(count_content(dataset, "MAP"), 2);     // not without an answer
  for (int i = 0; i < 3; i++) {
    assert_true(count_numbers(content(dataset, "125007", i)) <= 8);
  }
  assert_string_equal(text("112039", 0).c_str(), "Cornerstone3DTools@^0.1.0:PlanarFreehandROI:Lesion 1");
}

// Only the model's own classes have a probability, and none is 0, which viewers leave out.
void test_write_result__classes_are_the_models(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  f->lesions[0].prediction.classes = 1U << LVN_CLASS_HCC | 1U << LVN_CLASS_HEM;
  f->lesions[0].prediction.probability[LVN_CLASS_CYST] = 0;
  f->lesions[0].prediction.probability[LVN_CLASS_FNH] = 0;
  f->lesions[0].prediction.probability[LVN_CLASS_HCC] = 0.9999;
  f->lesions[0].prediction.probability[LVN_CLASS_HEM] = 0.0001;
  write(f);
  assert_true(file.loadFile(f->findings.objects[3].path).good());
  DcmItem &group = content(*file.getDataset(), "125007", 0);
  assert_int_equal(count_content(group, "PROB_CYST"), 0); // no class of this model
  assert_int_equal(count_numbers(group), 6);
  assert_string_equal(
      string_of(item_at(content(group, "PROB_HEM", 0), DCM_MeasuredValueSequence, 0), DCM_NumericValue).c_str(), "0.1");
}

// A model of other classes than the paper's: a probability each, and the finding by its own code.
void test_write_result__each_class_has_its_code(void **state) {
  auto *f = static_cast<fixture *>(*state);
  struct lvn_findings_prediction &prediction = f->lesions[0].prediction;
  DcmFileFormat file;
  assert_true(lvn_classes_parse("CYST, HCC, METASTASIS, ICC, ABSCESS", &prediction.classes));
  std::fill_n(prediction.probability, LVN_CLASS_COUNT, 0.0);
  prediction.probability[LVN_CLASS_METASTASIS] = 0.75;
  prediction.probability[LVN_CLASS_ICC] = 0.25;
  prediction.top_class = LVN_CLASS_METASTASIS;
  write(f);
  assert_true(file.loadFile(f->findings.objects[3].path).good());
  DcmItem &group = content(*file.getDataset(), "125007", 0);
  assert_string_equal(
      string_of(item_at(content(group, "121071", 0), DCM_ConceptCodeSequence, 0), DCM_CodeValue).c_str(), "94381002");
  const std::pair<const char *, const char *> expected[] = {
      {"PROB_CYST", "85057007"}, {"PROB_HCC", "109841003"}, {"PROB_METASTASIS", "94381002"}, {"PROB_ICC", "109842005"}};
  for (const auto &[name, code] : expected) {
    assert_string_equal(
        string_of(item_at(content(content(group, name, 0), "121071", 0), DCM_ConceptCodeSequence, 0), DCM_CodeValue)
            .c_str(),
        code);
  }
  // The least likely of five is a property of the outcome: a group has few NUM.
  DcmItem &fifth = content(content(group, "CLASSIFICATION", 0), "PROB_ABSCESS", 0);
  assert_string_equal(
      string_of(item_at(content(fifth, "121071", 0), DCM_ConceptCodeSequence, 0), DCM_CodeValue).c_str(), "27916005");
  assert_int_equal(count_numbers(group), 8);
  assert_int_equal(count_content(group, "PROB_FNH") + count_content(group, "PROB_HEM"), 0);
  check_damage(f, 3, "none of the classes", [](DcmItem &dataset) {
    DcmItem &finding = item_at(content(content(dataset, "125007", 0), "121071", 0), DCM_ConceptCodeSequence, 0);
    assert_true(finding.putAndInsertString(DCM_CodeValue, "93469006").good());
  });
}

void test_write_result__overview_comes_first(void **state) {
  auto *f = static_cast<fixture *>(*state);
  struct lvn_error error = {};
  DcmFileFormat file;
  assert_true(lvn_picture_create(20, 10, &f->findings.overview, &error));
  write(f);
  lvn_picture_clear(&f->findings.overview);
  assert_int_equal(f->findings.object_count, 5);
  const char *const numbers[] = {"1", "2", "3", "4"};
  std::string series;
  for (size_t i = 0; i < 4; i++) {
    assert_true(file.loadFile(f->findings.objects[i].path).good());
    DcmDataset &dataset = *file.getDataset();
    assert_string_equal(string_of(dataset, DCM_InstanceNumber).c_str(), numbers[i]);
    assert_true(series.empty() || series == string_of(dataset, DCM_SeriesInstanceUID));
    series = string_of(dataset, DCM_SeriesInstanceUID);
  }
  assert_true(file.loadFile(f->findings.objects[4].path).good());
  assert_int_equal(instances_of_series(*file.getDataset(), series.c_str()).size(), 4);
}

void test_write_result__foreign_text_becomes_ascii(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  f->lesions[0].tracking_id = "L\xc3\xa9sion\n1";
  write(f);
  assert_true(file.loadFile(f->findings.objects[3].path).good());
  assert_string_equal(string_of(content(*file.getDataset(), "112039", 0), DCM_TextValue).c_str(),
                      "Cornerstone3DTools@^0.1.0:PlanarFreehandROI:L?sion?1");
}

void expect_refusal(fixture *f) {
  struct lvn_error error = {};
  assert_false(write_both(f, &error));
  assert_int_equal(error.code, LVN_ERROR_INTERNAL);
}

void test_write_result__impossible_findings_are_refused(void **state) {
  auto *f = static_cast<fixture *>(*state);
  const struct lvn_findings_lesion good = f->lesions[0];
  f->lesions[0].prediction.probability[0] = 0.5;
  expect_refusal(f);
  f->lesions[0] = good;
  f->lesions[0].prediction.probability[0] = NAN;
  expect_refusal(f);
  f->lesions[0] = good;
  f->lesions[0].contours.count = 0;
  expect_refusal(f);
  f->lesions[0] = good;
  struct lvn_contour line = {square, 2};
  f->lesions[0].contours = {&line, 1};
  expect_refusal(f);
  f->lesions[0] = good;
  f->lesions[0].slice_count = 0;
  expect_refusal(f);
  f->lesions[0] = good;
  f->lesions[0].prediction.abstained = true;
  expect_refusal(f);
  f->lesions[0] = good;
  f->findings.lesion_count = 0;
  expect_refusal(f);
}

void test_write_result__check_finds_damaged_reports(void **state) {
  auto *f = static_cast<fixture *>(*state);
  write(f);
  check_damage(f, 3, "PreliminaryFlag", set_value(DCM_PreliminaryFlag, "FINAL"));
  check_damage(f, 3, "VerificationFlag", set_value(DCM_VerificationFlag, "VERIFIED"));
  check_damage(f, 3, "SeriesDescription", set_value(DCM_SeriesDescription, "Liver"));
  check_damage(f, 3, "SeriesNumber", set_value(DCM_SeriesNumber, "3"));
  check_damage(f, 3, "evidence", remove_tag(DCM_CurrentRequestedProcedureEvidenceSequence));
  check_damage(f, 3, "ContributingEquipment", remove_tag(DCM_ContributingEquipmentSequence));
  check_damage(f, 3, "99LVN", remove_tag(DCM_CodingSchemeIdentificationSequence));
  check_damage(f, 3, "PatientBirthDate", remove_tag(DCM_PatientBirthDate));
  check_damage(f, 3, "RESEARCH_NOTICE", [](DcmItem &d) {
    item_at(content(d, "RESEARCH_NOTICE", 0), DCM_ConceptNameCodeSequence, 0).putAndInsertString(DCM_CodeValue, "X");
  });
  check_damage(f, 3, "said first", [](DcmItem &d) {
    for (int i = 0; i < 3; i++) {
      item_at(content(d, "ANSWER", 0), DCM_ConceptNameCodeSequence, 0).putAndInsertString(DCM_CodeValue, "X");
    }
  });
  check_damage(f, 3, "take the tracking identifier up",
               [](DcmItem &d) { content(d, "112039", 0).putAndInsertString(DCM_TextValue, "Lesion 1"); });
  check_damage(f, 3, "no outline",
               [](DcmItem &d) { content(d, "42798000", 0).findAndDeleteElement(DCM_ContentSequence); });
  check_damage(f, 3, "more NUM", [](DcmItem &d) {
    DcmItem &group = content(d, "125007", 0);
    DcmSequenceOfItems *items = nullptr;
    assert_true(group.findAndGetSequence(DCM_ContentSequence, items).good());
    assert_true(items->append(new DcmItem(content(group, "103339001", 0))).good());
  });
  check_damage(f, 3, "Research use only", [](DcmItem &d) {
    content(d, "RESEARCH_NOTICE", 0).putAndInsertString(DCM_TextValue, "For diagnosis.");
  });
  check_damage(f, 3, "not in the evidence", [](DcmItem &d) {
    item_at(item_at(content(d, "111030", 0), DCM_ContentSequence, 0), DCM_ReferencedSOPSequence, 0)
        .putAndInsertString(DCM_ReferencedSOPInstanceUID, "1.2.3.999");
  });
  check_damage(f, 3, "not closed", [](DcmItem &d) {
    const Float32 open[] = {1, 1, 2, 1, 2, 2, 1, 2};
    content(d, "111030", 0).putAndInsertFloat32Array(DCM_GraphicData, open, 8);
  });
  check_damage(f, 3, "121012",
               [](DcmItem &d) { content(d, "121012", 0).putAndInsertString(DCM_RelationshipType, "CONTAINS"); });
  check_damage(f, 3, "UID", [](DcmItem &d) { content(d, "112040", 0).putAndInsertString(DCM_UID, "1..2"); });
  check_damage(f, 3, "sum to 100", [](DcmItem &d) {
    item_at(content(d, "PROB_HCC", 0), DCM_MeasuredValueSequence, 0).putAndInsertString(DCM_NumericValue, "80");
  });
  check_damage(f, 3, "unit", [](DcmItem &d) {
    item_at(content(d, "103339001", 0), DCM_MeasuredValueSequence, 0)
        .findAndDeleteElement(DCM_MeasurementUnitsCodeSequence);
  });
  check_damage(f, 3, "finding contradict", [](DcmItem &d) {
    item_at(content(content(d, "125007", 1), "121071", 0), DCM_ConceptCodeSequence, 0)
        .putAndInsertString(DCM_CodeValue, "109841003");
  });
}

void test_write_result__check_finds_damaged_captures(void **state) {
  auto *f = static_cast<fixture *>(*state);
  write(f);
  check_damage(f, 0, "BurnedInAnnotation", set_value(DCM_BurnedInAnnotation, "YES"));
  check_damage(f, 0, "RecognizableVisualFeatures", remove_tag(DCM_RecognizableVisualFeatures));
  check_damage(f, 0, "research notice", set_value(DCM_DerivationDescription, "Overlay"));
  check_damage(f, 0, "SourceImageSequence", remove_tag(DCM_SourceImageSequence));
  check_damage(f, 0, "BodyPartExamined", remove_tag(DCM_BodyPartExamined));
  check_damage(f, 0, "pixel data", [](DcmItem &d) { d.putAndInsertUint16(DCM_Rows, 22); });
  check_damage(f, 0, "StationName", set_value(DCM_StationName, "a station name beyond sixteen"));
  check_damage(f, 0, "SOP class", [](DcmItem &d) { d.putAndInsertString(DCM_SOPClassUID, UID_CTImageStorage); });
}

void test_write_result__check_refuses_other_files(void **state) {
  auto *f = static_cast<fixture *>(*state);
  struct lvn_error error = {};
  assert_false(lvn_result_check((f->folder + "/absent.dcm").c_str(), &error));
  assert_false(lvn_result_check(f->template_path.c_str(), &error)); // a CT image is no result
}

} // namespace

#define CASE(name) cmocka_unit_test_setup_teardown(test_write_result__##name, setup, teardown)

int main() {
  const struct CMUnitTest tests[] = {
      CASE(objects_and_their_order),
      CASE(report_says_what_was_found),
      CASE(every_roi_object_is_evidence),
      CASE(same_findings_same_bytes),
      CASE(another_job_has_other_uids),
      CASE(careless_template_makes_valid_results),
      CASE(foreign_text_becomes_ascii),
      CASE(impossible_findings_are_refused),
      CASE(check_finds_damaged_reports),
      CASE(check_finds_damaged_captures),
      CASE(check_refuses_other_files),
      CASE(replaced_report_is_named),
      CASE(capture_says_how_the_patient_lay),
      CASE(report_says_how_sure_it_is),
      CASE(overview_comes_first),
      CASE(classes_are_the_models),
      CASE(each_class_has_its_code),
      CASE(each_lesion_names_its_own_series),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
