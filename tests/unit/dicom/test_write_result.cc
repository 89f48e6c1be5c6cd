// The result objects, and that the check of them can fail: each case damages one thing.
#include "base/file.h"
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

const float square[] = {10, 10, 20, 10, 20, 30, 10, 30, 10, 10};
const float other_square[] = {40, 40, 45, 40, 45, 45, 40, 45, 40, 40};
const struct lvn_result_contour contours[2] = {{square, 5}, {other_square, 5}};
const struct lvn_result_reference images[3] = {{UID_CTImageStorage, "1.2.3.10", "1.2.3.100", 0},
                                               {UID_CTImageStorage, "1.2.3.11", "1.2.3.101", 0},
                                               {UID_CTImageStorage, "1.2.3.12", "1.2.3.102", 0}};

struct fixture {
  std::string folder;
  std::string template_path;
  struct lvn_picture picture;
  struct lvn_result_phase phases[3];
  struct lvn_result_lesion lesions[3];
  struct lvn_result_request request;
  struct lvn_result_object objects[LVN_RESULT_OBJECTS_MAX];
  size_t count;
};

std::string write_template(const std::string &folder) {
  struct lvn_error error = {};
  struct lvn_volume volume = {};
  const struct lvn_grid grid = {{8, 8, 1}, {1, 1, 5}, {0, 0, 0}, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  const struct lvn_write_study study = {"1.2.3.4", "1.2.3.5",  "PHANTOM-1", "Phantom^Seed 1",
                                        "1",       "ACC-0001", "20261122",  "101500"};
  const struct lvn_write_series series = {"1.2.3.6", "seed",  4, "PV", "Liver", "101634",
                                          nullptr,   nullptr, 5, "B",  nullptr};
  assert_true(lvn_volume_create(&grid, &volume, &error));
  assert_true(lvn_write_ct_series(folder.c_str(), &study, &series, &volume, nullptr, &error));
  lvn_volume_clear(&volume);
  return folder + "/0001.dcm";
}

struct lvn_result_lesion make_lesion(const struct lvn_picture *picture) {
  struct lvn_result_lesion lesion = {};
  lesion.tracking_id = "Lesion 1";
  lesion.tracking_uid = "2.25.1";
  lesion.algorithm_parameters = "3 phases";
  lesion.right_edge = 'L';
  lesion.lower_edge = 'P';
  lesion.image = images[2];
  lesion.contours = contours;
  lesion.contour_count = 1;
  lesion.has_probability = true;
  lesion.probability[LVN_CLASS_CYST] = 0.02;
  lesion.probability[LVN_CLASS_FNH] = 0.05;
  lesion.probability[LVN_CLASS_HCC] = 0.9;
  lesion.probability[LVN_CLASS_HEM] = 0.03;
  lesion.top_class = LVN_CLASS_HCC;
  lesion.long_axis_mm = 33.4;
  lesion.short_axis_mm = 28.1;
  lesion.volume_ml = 14.2;
  lesion.capture = picture;
  for (unsigned i = 0; i < LVN_PHASE_NETWORK_COUNT; i++) {
    lesion.registration[i].is_reference = i == LVN_PHASE_PV;
    lesion.registration[i].usable = true;
    lesion.registration[i].estimated_error_mm = i == LVN_PHASE_PV ? NAN : 1.1;
    lesion.mean_hu[i] = i == LVN_PHASE_ART ? NAN : 50;
  }
  return lesion;
}

int setup(void **state) {
  auto *f = new fixture();
  struct lvn_error error = {};
  char folder[SCRATCH_BYTES];
  f->folder = scratch_make(folder);
  f->template_path = write_template(f->folder);
  assert_true(lvn_picture_create(31, 21, &f->picture, &error)); // odd: the pixel data needs padding
  f->phases[0] = {LVN_PHASE_NC, "1.2.3.100", images[0], 2, "before injection"};
  f->phases[1] = {LVN_PHASE_ART, "1.2.3.101", images[1], 3, "35 s"};
  f->phases[2] = {LVN_PHASE_PV, "1.2.3.102", images[2], 4, "70 s"};
  for (auto &lesion : f->lesions) {
    lesion = make_lesion(&f->picture);
  }
  f->lesions[1].tracking_uid = "2.25.2";
  f->lesions[1].contour_count = 2;
  f->lesions[1].abstained = true;
  f->lesions[1].abstention_reason = "The two most likely classes are too close.";
  f->lesions[2].tracking_uid = "2.25.3";
  f->lesions[2].has_probability = false;
  f->lesions[2].abstained = true;
  f->lesions[2].abstention_reason = "The arterial phase could not be aligned.";
  struct lvn_result_request &r = f->request;
  r.template_path = f->template_path.c_str();
  r.job_key = "job-1";
  r.wall_ms = 1795320000000;
  r.device = {"LIVERVLM", "node1", "demo-phantom", "1.0.0", "2.25.99", "0.1.0"};
  r.phases = f->phases;
  r.phase_count = 3;
  r.evidence = images;
  r.evidence_count = 3;
  r.lesions = f->lesions;
  r.lesion_count = 3;
  *state = f;
  return 0;
}

int teardown(void **state) {
  auto *f = static_cast<fixture *>(*state);
  lvn_picture_clear(&f->picture);
  scratch_remove(f->folder.c_str());
  delete f;
  return 0;
}

void write(fixture *f) {
  struct lvn_error error = {};
  if (!lvn_result_write(&f->request, f->folder.c_str(), f->objects, &f->count, &error)) {
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
  assert_true(file.loadFile(f->objects[object].path).good());
  assert_true(file.saveFile(path.c_str(), EXS_LittleEndianExplicit).good());
  if (!lvn_result_check(path.c_str(), &error)) {
    fail_msg("the copy itself fails: %s", error.message);
  }
  assert_true(file.loadFile(f->objects[object].path).good());
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
  assert_int_equal(f->count, 4);
  for (size_t i = 0; i < 3; i++) {
    assert_string_equal(f->objects[i].sop_class_uid, UID_SecondaryCaptureImageStorage);
  }
  assert_string_equal(f->objects[3].sop_class_uid, UID_Comprehensive3DSRStorage);
}

// A series of a prone patient is not turned: its picture says so.
void test_write_result__capture_says_how_the_patient_lay(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  f->lesions[0].right_edge = 'R';
  f->lesions[0].lower_edge = 'A';
  write(f);
  assert_true(file.loadFile(f->objects[0].path).good());
  assert_string_equal(string_of(*file.getDataset(), DCM_PatientOrientation).c_str(), "R\\A");
  assert_true(file.loadFile(f->objects[1].path).good());
  assert_string_equal(string_of(*file.getDataset(), DCM_PatientOrientation).c_str(), "L\\P");
}

void test_write_result__report_says_what_was_found(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  write(f);
  assert_true(file.loadFile(f->objects[3].path).good());
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
    assert_string_equal(string_of(capture, DCM_ReferencedSOPInstanceUID).c_str(), f->objects[i].sop_instance_uid);
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
  const struct lvn_result_reference objects[3] = {{UID_RTStructureSetStorage, "1.2.3.20", "1.2.3.200", 0},
                                                  {UID_SegmentationStorage, "1.2.3.21", "1.2.3.201", 0},
                                                  {UID_RTStructureSetStorage, "1.2.3.20", "1.2.3.200", 0}};
  DcmFileFormat file;
  f->request.roi_objects = objects;
  f->request.roi_object_count = 3;
  write(f);
  assert_true(file.loadFile(f->objects[3].path).good());
  assert_true((instances_of_series(*file.getDataset(), "1.2.3.200") == std::vector<std::string>{"1.2.3.20"}));
  assert_true((instances_of_series(*file.getDataset(), "1.2.3.201") == std::vector<std::string>{"1.2.3.21"}));
}

// Lesions that were drawn on different series of a phase: the study names all, each lesion its own.
void test_write_result__each_lesion_names_its_own_series(void **state) {
  auto *f = static_cast<fixture *>(*state);
  const struct lvn_result_reference other = {UID_CTImageStorage, "1.2.3.13", "1.2.3.103", 0};
  const struct lvn_result_phase phases[4] = {
      f->phases[0], f->phases[1], f->phases[2], {LVN_PHASE_PV, "1.2.3.103", other, 5, "75 s"}};
  DcmFileFormat file;
  f->request.phases = phases;
  f->request.phase_count = 4;
  f->request.lesion_count = 2;
  for (int i = 0; i < 2; i++) {
    struct lvn_result_lesion &lesion = f->lesions[i];
    lesion.algorithm_parameters = i == 0 ? "PV series 4" : "PV series 5";
    for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
      lesion.source[phase] = {2 + phase, images[phase]};
      lesion.mean_hu[phase] = 50;
    }
  }
  f->lesions[1].image = other;
  f->lesions[1].source[LVN_PHASE_PV] = {5, other};
  write(f);
  assert_true(file.loadFile(f->objects[2].path).good());
  DcmDataset &dataset = *file.getDataset();
  const char *const pv_images[] = {"1.2.3.12", "1.2.3.13"};
  for (int i = 0; i < 2; i++) {
    DcmItem &group = content(dataset, "125007", i);
    DcmItem &image = item_at(content(content(group, "MEAN_HU_PV", 0), "121112", 0), DCM_ReferencedSOPSequence, 0);
    assert_string_equal(string_of(image, DCM_ReferencedSOPInstanceUID).c_str(), pv_images[i]);
    assert_int_equal(count_content(group, "121112"), 3);
    assert_string_equal(string_of(content(group, "111002", 0), DCM_TextValue).c_str(),
                        f->lesions[i].algorithm_parameters);
    const std::string state_text = string_of(content(group, "REG_STATE", 2), DCM_TextValue);
    assert_non_null(std::strstr(state_text.c_str(), i == 0 ? "series 4" : "series 5"));
  }
  assert_int_equal(count_content(dataset, "PHASE_EVIDENCE"), 4);
  assert_true((instances_of_series(dataset, "1.2.3.103") == std::vector<std::string>{"1.2.3.13"}));
}

void test_write_result__same_request_same_bytes(void **state) {
  auto *f = static_cast<fixture *>(*state);
  struct lvn_error error = {};
  std::vector<std::vector<uint8_t>> first;
  for (int round = 0; round < 2; round++) {
    write(f);
    for (size_t i = 0; i < f->count; i++) {
      std::vector<uint8_t> digest(LVN_SHA256_BYTES);
      assert_true(lvn_sha256_of_file(f->objects[i].path, digest.data(), &error));
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
  const std::string uid = f->objects[3].sop_instance_uid;
  f->request.job_key = "job-2";
  write(f);
  assert_string_not_equal(uid.c_str(), f->objects[3].sop_instance_uid);
}

// A later report of the study says which one it replaces: by reference for machines, in words for people.
void test_write_result__replaced_report_is_named(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  write(f);
  const std::string first_uid = f->objects[3].sop_instance_uid;
  assert_true(file.loadFile(f->objects[3].path).good());
  const std::string first_series = string_of(*file.getDataset(), DCM_SeriesInstanceUID);
  assert_false(file.getDataset()->tagExists(DCM_PredecessorDocumentsSequence));
  f->request.job_key = "job-2";
  f->request.replaced_key = "job-1";
  f->request.replaced_wall_ms = f->request.wall_ms;
  f->request.wall_ms += 60000;
  write(f);
  assert_true(file.loadFile(f->objects[3].path).good());
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
  for (size_t i = 0; i < f->count; i++) {
    assert_true(file.loadFile(f->objects[i].path).good());
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

void test_write_result__foreign_text_becomes_ascii(void **state) {
  auto *f = static_cast<fixture *>(*state);
  DcmFileFormat file;
  f->lesions[0].tracking_id = "L\xc3\xa9sion\n1";
  write(f);
  assert_true(file.loadFile(f->objects[3].path).good());
  assert_string_equal(string_of(content(*file.getDataset(), "112039", 0), DCM_TextValue).c_str(), "L?sion?1");
}

void expect_refusal(fixture *f) {
  struct lvn_error error = {};
  assert_false(lvn_result_write(&f->request, f->folder.c_str(), f->objects, &f->count, &error));
  assert_int_equal(error.code, LVN_ERROR_INTERNAL);
}

void test_write_result__impossible_requests_are_refused(void **state) {
  auto *f = static_cast<fixture *>(*state);
  const struct lvn_result_lesion good = f->lesions[0];
  f->lesions[0].probability[0] = 0.5;
  expect_refusal(f);
  f->lesions[0] = good;
  f->lesions[0].probability[0] = NAN;
  expect_refusal(f);
  f->lesions[0] = good;
  f->lesions[0].contour_count = 0;
  expect_refusal(f);
  f->lesions[0] = good;
  const struct lvn_result_contour open = {square, 4};
  f->lesions[0].contours = &open;
  expect_refusal(f);
  f->lesions[0] = good;
  f->lesions[0].abstained = true;
  expect_refusal(f);
  f->lesions[0] = good;
  f->request.lesion_count = 0;
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
  check_damage(f, 0, "BurnedInAnnotation", set_value(DCM_BurnedInAnnotation, "NO"));
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
      CASE(objects_and_their_order),          CASE(report_says_what_was_found),
      CASE(every_roi_object_is_evidence),     CASE(same_request_same_bytes),
      CASE(another_job_has_other_uids),       CASE(careless_template_makes_valid_results),
      CASE(foreign_text_becomes_ascii),       CASE(impossible_requests_are_refused),
      CASE(check_finds_damaged_reports),      CASE(check_finds_damaged_captures),
      CASE(check_refuses_other_files),        CASE(replaced_report_is_named),
      CASE(capture_says_how_the_patient_lay), CASE(each_lesion_names_its_own_series),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
