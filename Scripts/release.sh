#!/usr/bin/env bash
# Makes a release of the checked-out commit: the programs for this system in an archive, their bill of materials, the notes, checksums of
# all, and an annotated tag whose message has these checksums. Publishes nothing. docs/releasing.md has the steps before and after.
#
# Refuses to begin unless the working tree is clean, all files have the version (Scripts/version.py), CHANGELOG.md has its section with a
# date, and the tag does not exist.
# Usage: Scripts/release.sh VERSION [--dry-run] [--sign] [--output FOLDER] [--executables FOLDER]
#   --dry-run             checks, prints what would be made and the notes, and writes nothing
#   --sign                signs the tag with Git's user.signingkey
#   --output FOLDER       the files' folder, .build/release-VERSION by default; it must not exist
#   --executables FOLDER  packs these programs instead of building; each must have been built from this commit, as its --version tells
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
programs=(parallaxd parallax parallax-witness)

fail() {
  echo "error: $1" >&2
  exit 1
}

usage() {
  sed -n '/^# Usage/,/^set/s/^# //p' "$0" >&2
  exit 2
}

version='' dry_run='' executables='' output='' tag_kind=(--annotate --no-sign)
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) dry_run=yes ;;
    --sign) tag_kind=(--sign) ;;
    --output | --executables)
      [ $# -ge 2 ] || usage
      if [ "$1" = --output ]; then output=$2; else executables=$2; fi
      shift
      ;;
    -*) usage ;;
    *)
      [ -z "$version" ] || usage
      version=$1
      ;;
  esac
  shift
done
[ -n "$version" ] || usage
tag=v$version
output=${output:-.build/release-$version}

# What has to be true before.
changes=$(git status --porcelain)
[ -z "$changes" ] || fail "the working tree has changes, which the tag would not have; commit or stash them:"$'\n'"$changes"
Scripts/version.py --check
[ "$(Scripts/version.py)" = "$version" ] ||
  fail "the sources are version $(Scripts/version.py); run Scripts/version.py --write $version, and commit the change"
if git rev-parse --quiet --verify "refs/tags/$tag" >/dev/null; then fail "the tag $tag exists: a version is released once"; fi
[ ! -e "$output" ] || fail "$output exists; remove it, or name another folder with --output"

# The section of the version, from below its heading up to the next one, without empty lines around it.
heading=$(awk -v start="## [$version]" 'index($0, start) == 1' CHANGELOG.md)
[[ $heading =~ ^"## [$version] - "[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] ||
  fail "CHANGELOG.md has ${heading:-no section of the version}; expected a section ## [$version] - YYYY-MM-DD"
changelog=$(awk -v start="$heading" '$0 == start { inside = 1; next } /^## / { inside = 0 } inside' CHANGELOG.md | sed '/./,$!d')
[ -n "$changelog" ] || fail "CHANGELOG.md says nothing about $version; its section is empty"

commit=$(git rev-parse HEAD)
instant=$(TZ=UTC git show --no-patch --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd HEAD)
system=$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
name=parallax-$version
archive=$name-$system.tar.gz
bill=$name.cdx.json
files=("$archive" "$bill" Package.resolved RELEASE_NOTES.md SHA256SUMS)

# shellcheck disable=SC2016 # Markdown's code spans, not the shell's
notes() {
  printf '# Parallax %s\n\n%s\n\n## Files\n\n' "$version" "$changelog"
  printf -- '- `%s`: `parallaxd`, `parallax` and `parallax-witness`\n' "$archive"
  printf -- '- `%s`: the packages inside, a CycloneDX bill of materials\n' "$bill"
  printf -- '- `Package.resolved`: what a build of the same programs resolves\n'
  printf -- '- `SHA256SUMS`: the checksums of these files, as in the message of the tag `%s` (commit `%s`)\n\n' "$tag" "${commit:0:12}"
  printf '`docs/operations/verifying-a-release.md` says how to verify a download.\n'
}

if [ -n "$dry_run" ]; then
  echo "Would build ${programs[*]} from ${commit:0:12}, write into $output:"
  printf '  %s\n' "${files[@]}"
  echo "and make the tag $tag. The notes:"
  echo
  notes
  exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The programs. The Swift runtime is part of them: they need none.
if [ -z "$executables" ]; then
  for program in "${programs[@]}"; do
    swift build --configuration release --static-swift-stdlib --product "$program" -Xlinker -s
  done
  executables=$(swift build --configuration release --static-swift-stdlib --show-bin-path)
fi
for program in "${programs[@]}"; do
  found=$("$executables/$program" --version)
  [ "$found" = "$version (commit ${commit:0:12})" ] ||
    fail "$executables/$program is $found; expected $version (commit ${commit:0:12})"
  install -D --mode 755 "$executables/$program" "$work/$name/bin/$program"
done
# Also resolves, where the programs came from elsewhere.
swift package show-dependencies --format json >"$work/graph.json"
install --mode 644 LICENSE CHANGELOG.md Package.resolved "$work/$name"
install -D --mode 644 deploy/systemd/parallaxd.service "$work/$name/systemd/parallaxd.service"

Scripts/sbom.py --version "$version" --commit "$commit" --time "$instant" --graph "$work/graph.json" \
  --swift "$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([^ ]*\).*/\1/p' | head -n 1)" >"$work/$name/$bill"
(cd "$work/$name" && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >"$work/SHA256SUMS")
mv "$work/SHA256SUMS" "$work/$name/SHA256SUMS"

# Owners, times and the order of files are fixed, so that the same programs give the same archive.
mkdir "$work/files"
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="$instant" --format=ustar --directory "$work" "$name" |
  gzip --no-name --best >"$work/files/$archive"
cp "$work/$name/$bill" "$work/$name/Package.resolved" "$work/files"
notes >"$work/files/RELEASE_NOTES.md"
(cd "$work/files" && sha256sum "$archive" "$bill" Package.resolved RELEASE_NOTES.md >SHA256SUMS)

mkdir -p "$(dirname "$output")"
mv "$work/files" "$output"
# The hash of the tag covers the checksums: who trusts the tag can verify every file.
git tag "${tag_kind[@]}" --message "Parallax $version"$'\n\n'"$(cat "$output/SHA256SUMS")" "$tag"

echo "Made the tag $tag of ${commit:0:12}, and in $output:"
(cd "$output" && wc -c "${files[@]}" | sed '$d; s/^/  /')
echo "Next: git push origin $tag, and publish these files with RELEASE_NOTES.md (docs/releasing.md)."
