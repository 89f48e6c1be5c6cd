// What tells the acquisitions of one series apart, and the times of day as seconds on one axis, so that a scan across
// midnight keeps its order.
#include "dicom/read/study_dcmtk.hh"

#include <cmath>
#include <cstdlib>

namespace lvn {
namespace {

// Newer than DCMTK 3.6.7's names for some of them.
const DcmTagKey acquisition_uid_key(0x0008, 0x0017);
const DcmTagKey multi_energy_processing_key(0x0018, 0x9363);
const DcmTagKey multi_energy_characteristics_key(0x0018, 0x9364);
const DcmTagKey monoenergetic_kev_key(0x0018, 0x937C);

bool take_digits(const std::string &text, size_t at, size_t count, int *ret_value) {
  int value = 0;
  for (size_t i = at; i < at + count; i++) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') {
      return false;
    }
    value = value * 10 + (text[i] - '0');
  }
  *ret_value = value;
  return true;
}

// Days of a proleptic calendar; only differences matter.
double day_of(const std::string &date) {
  int year = 0;
  int month = 0;
  int day = 0;
  if (!take_digits(date, 0, 4, &year) || !take_digits(date, 4, 2, &month) || !take_digits(date, 6, 2, &day) ||
      month < 1 || month > 12 || day < 1 || day > 31) {
    return 0.0;
  }
  const int y = month > 2 ? year : year - 1;
  const int m = month > 2 ? month - 3 : month + 9;
  const int days_before_month = (153 * m + 2) / 5;
  return 365.0 * y + std::floor(y / 4.0) - std::floor(y / 100.0) + std::floor(y / 400.0) + days_before_month + day;
}

// Seconds of a day of "HHMM", "HHMMSS" or "HHMMSS.FFFFFF", old ones with colons; NAN when it is none.
double time_of(const std::string &value) {
  std::string text;
  for (const char c : value) {
    if (c != ':') {
      text += c;
    }
  }
  int hours = 0;
  int minutes = 0;
  int seconds = 0;
  double fraction = 0.0;
  if (!take_digits(text, 0, 2, &hours) || !take_digits(text, 2, 2, &minutes) || hours > 23 || minutes > 59) {
    return NAN;
  }
  if (take_digits(text, 4, 2, &seconds) && text.size() > 7 && text[6] == '.') {
    double unit = 0.1;
    for (size_t i = 7; i < text.size() && text[i] >= '0' && text[i] <= '9'; i++, unit *= 0.1) {
      fraction += unit * (text[i] - '0');
    }
  }
  return hours * 3600.0 + minutes * 60.0 + seconds + fraction;
}

double moment_of(DcmItem &item, const DcmTagKey &date, const DcmTagKey &time) {
  const double seconds = time_of(code_of(item, time));
  return std::isnan(seconds) ? NAN : day_of(code_of(item, date)) * 86400.0 + seconds;
}

double moment_of(DcmItem &item, const DcmTagKey &datetime) {
  const std::string text = code_of(item, datetime);
  const double seconds = text.size() > 8 ? time_of(text.substr(8)) : NAN;
  return std::isnan(seconds) ? NAN : day_of(text) * 86400.0 + seconds;
}

void take_number(DcmItem &item, const DcmTagKey &key, double &target) {
  const double value = number_of(item, key, NAN);
  target = std::isnan(value) ? target : value;
}

} // namespace

void read_acquisition(DcmItem &dataset, Acquisition &acquisition) {
  take_number(dataset, DCM_TemporalPositionIdentifier, acquisition.temporal_position);
  take_number(dataset, DCM_TemporalPositionIndex, acquisition.temporal_position);
  take_number(dataset, DCM_TriggerTime, acquisition.trigger_ms);
  acquisition.acquired_seconds = moment_of(dataset, DCM_AcquisitionDateTime);
  if (std::isnan(acquisition.acquired_seconds)) {
    acquisition.acquired_seconds = moment_of(dataset, DCM_AcquisitionDate, DCM_AcquisitionTime);
  }
  acquisition.content_seconds = moment_of(dataset, DCM_ContentDate, DCM_ContentTime);
  acquisition.created_seconds = moment_of(dataset, DCM_InstanceCreationDate, DCM_InstanceCreationTime);
  take_number(dataset, DCM_KVP, acquisition.kv);
  acquisition.stack_id = code_of(dataset, DCM_StackID);
  acquisition.acquisition_uid = code_of(dataset, acquisition_uid_key);
  acquisition.irradiation_uid = code_of(dataset, DCM_IrradiationEventUID);
  acquisition.derivation = text_of(dataset, DCM_DerivationDescription);
  for (DcmItem *place :
       {first_item(&dataset, multi_energy_characteristics_key), first_item(&dataset, multi_energy_processing_key)}) {
    Float64 kev = 0.0;
    if (place != nullptr && place->findAndGetFloat64(monoenergetic_kev_key, kev, 0, OFTrue).good()) {
      acquisition.energy_kev = kev;
    }
  }
}

void read_frame_acquisition(DcmItem &frame_content, Acquisition &acquisition) {
  Float64 offset = 0.0;
  take_number(frame_content, DCM_TemporalPositionIndex, acquisition.temporal_position);
  if (std::isnan(acquisition.temporal_position) &&
      frame_content.findAndGetFloat64(DCM_TemporalPositionTimeOffset, offset).good()) {
    acquisition.temporal_position = offset;
  }
  if (frame_content.findAndGetFloat64(DCM_NominalCardiacTriggerDelayTime, offset).good()) {
    acquisition.trigger_ms = offset;
  }
  const double acquired = moment_of(frame_content, DCM_FrameAcquisitionDateTime);
  acquisition.acquired_seconds = std::isnan(acquired) ? acquisition.acquired_seconds : acquired;
  const std::string stack = code_of(frame_content, DCM_StackID);
  acquisition.stack_id = stack.empty() ? acquisition.stack_id : stack;
}

} // namespace lvn
