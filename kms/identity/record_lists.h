// SPDX-License-Identifier: Apache-2.0
// Lists in stored records: number(4) | per element: its text, or key and value.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kms/auth/cidr.h"
#include "kms/base/record_codec.h"

namespace kms {

void PutTexts(const std::vector<std::string>& texts, RecordWriter& writer);
std::vector<std::string> GetTexts(RecordReader& reader);

void PutPairs(const std::map<std::string, std::string>& pairs, RecordWriter& writer);
std::map<std::string, std::string> GetPairs(RecordReader& reader);

void PutCidrs(const std::vector<CidrBlock>& blocks, RecordWriter& writer);
// What is no block makes the reader fail.
std::vector<CidrBlock> GetCidrs(RecordReader& reader);

}  // namespace kms
