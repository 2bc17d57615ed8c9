// The embedded page: what is committed, packed as it says, under headers that let it be kept.
#include "coordinator/dashboard/page.h"

#include <gtest/gtest.h>

namespace overwinter::dashboard {
namespace {

Request with_gzip(std::string accepted) {
  Request request{"GET", "/", {}};
  request.accept_encoding = std::move(accepted);
  return request;
}

TEST(PageTest, TheDocumentIsAskedForAgainAndItsFilesNever) {
  const Response document = page_document(with_gzip(""));
  EXPECT_EQ(document.status, 200U);
  EXPECT_EQ(document.cache_control, "no-cache");
  EXPECT_TRUE(document.content_encoding.empty());
  EXPECT_NE(document.body.find("<!doctype html>"), std::string::npos);
  // Scripts and styles by address alone: the policy allows nothing in line.
  EXPECT_EQ(document.body.find("<script>"), std::string::npos);
  EXPECT_EQ(document.body.find("style="), std::string::npos);
  int assets = 0;
  for (const PageFile& file : page_files()) {
    if (!file.path.starts_with("assets/")) continue;
    const Response asset = page_asset(file.path.substr(7), with_gzip("gzip"));
    EXPECT_EQ(asset.status, 200U);
    EXPECT_NE(asset.cache_control.find("immutable"), std::string::npos);
    EXPECT_EQ(asset.content_encoding, "gzip");
    EXPECT_NE(asset.content_type, "application/octet-stream") << file.path;
    ++assets;
  }
  EXPECT_GT(assets, 3);
  EXPECT_EQ(page_asset("../index.html", with_gzip("")).status, 404U);
  EXPECT_EQ(page_asset("", with_gzip("")).status, 404U);
}

TEST(PageTest, GzipIsForWhoTakesIt) {
  EXPECT_EQ(page_document(with_gzip("gzip, deflate, br")).content_encoding, "gzip");
  EXPECT_EQ(page_document(with_gzip("br;q=1, gzip;q=0.5")).content_encoding, "gzip");
  EXPECT_EQ(page_document(with_gzip("gzip;q=0")).content_encoding, "");
  EXPECT_EQ(page_document(with_gzip("br")).content_encoding, "");
}

TEST(PageTest, WhatABrowserHasIsNotSentAgain) {
  Request again = with_gzip("gzip");
  again.if_none_match = page_document(again).etag;
  const Response same = page_document(again);
  EXPECT_EQ(same.status, 304U);
  EXPECT_TRUE(same.body.empty());
  EXPECT_EQ(same.etag, again.if_none_match);
  again.if_none_match = "W/\"other\"";
  EXPECT_EQ(page_document(again).status, 200U);
}

// DASHBOARD §11: a first look, the plots, and all.
TEST(PageTest, ItsSizeHasABound) {
  std::size_t first_look = 0;
  std::size_t plots = 0;
  std::size_t whole = 0;
  for (const PageFile& file : page_files()) {
    const std::size_t size = file.gzip.size();
    EXPECT_EQ(static_cast<unsigned char>(file.gzip[0]), 0x1FU) << file.path;
    whole += size;
    if (file.path.starts_with("assets/curves-")) plots += size;
    if (file.path == "index.html" || file.path.starts_with("assets/index-") ||
        file.path.starts_with("assets/icon-")) {
      first_look += size;
    }
  }
  EXPECT_LE(first_look, 24'000U);
  EXPECT_LE(plots, 25'000U);
  EXPECT_LE(whole, 60'000U);
}

}  // namespace
}  // namespace overwinter::dashboard
