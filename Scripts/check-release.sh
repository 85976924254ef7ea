#!/usr/bin/env bash
# Checks what a release is made of: one version everywhere, a bill of materials that CycloneDX's own schema accepts, and Scripts/release.sh
# in a copy of the repository, with a stand-in for swift, so that nothing is built. Installs a pinned package of PyPI in .build/release-venv.
# Needs Package.resolved and the packages' checkouts, which a build leaves. Takes seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=.build/release-venv
package='cyclonedx-python-lib[json-validation]==11.12.0'

if [ "$(cat "$venv/package" 2>/dev/null)" != "$package" ]; then
  echo "Installing in $venv: $package"
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "$package"
  echo "$package" >"$venv/package" # marks this environment as complete
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "error: $1" >&2
  exit 1
}

# The bill of materials of what this build has resolved.
Scripts/version.py --check
swift package show-dependencies --format json >"$work/graph.json"
bill() {
  Scripts/sbom.py --version "$(Scripts/version.py)" --commit "$(git rev-parse HEAD)" --time 2026-01-15T10:30:00Z --graph "$work/graph.json" \
    --swift 6.3.1
}
bill >"$work/bill.json"
bill | cmp - "$work/bill.json" || fail "a second bill of materials differs from the first"
"$venv/bin/python" Scripts/check_sbom.py "$work/bill.json" Package.resolved

# The release script, in a repository of its own. Its swift makes programs that only tell their version.
copy=$work/copy
mkdir -p "$copy" "$work/bin"
# Files that were removed but not yet from the index are no part of the copy.
git ls-files -z --cached --others --exclude-standard |
  tar --create --null --ignore-failed-read --files-from=- 2>/dev/null | tar --extract --directory "$copy"
cp Package.resolved "$copy"
mkdir "$copy/.build"
ln -s "$root/.build/checkouts" "$copy/.build/checkouts"
cat >"$work/bin/swift" <<SWIFT
#!/usr/bin/env bash
set -euo pipefail
bin=$work/bin/built
case "\$*" in
  --version) echo "Swift version 6.3.1 (swift-6.3.1-RELEASE)" ;;
  "package show-dependencies"*) cat "$work/graph.json" ;;
  build*--show-bin-path) echo "\$bin" ;;
  build*)
    mkdir -p "\$bin"
    program=\$(sed 's/.*--product \([a-z-]*\).*/\1/' <<<"\$*")
    commit=\$(git rev-parse HEAD)
    printf '#!/bin/sh\necho "%s (commit %s)"\n' "\$(Scripts/version.py)" "\${commit:0:12}" >"\$bin/\$program"
    chmod 755 "\$bin/\$program"
    ;;
  *) exit 64 ;;
esac
SWIFT
chmod 755 "$work/bin/swift"
export PATH=$work/bin:$PATH GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org
cd "$copy"
git init --quiet --initial-branch main
git add --all

commit() { git add --all && git commit --quiet --message "$1"; }
# What a run could change: the tags, and every file but the stand-ins.
state() { git tag --list && git status --porcelain --ignored && find .build -maxdepth 1 | LC_ALL=C sort; }

# refused PART COMMAND…: the command fails, says so, and changes nothing.
refused() {
  local part=$1 before output
  shift
  before=$(state)
  if output=$("$@" 2>&1); then fail "$* succeeded; a refusal with \"$part\" was expected"; fi
  [[ $output == *"$part"* ]] || fail "$* was refused with: $output; expected \"$part\""
  [ "$(state)" = "$before" ] || fail "$* was refused, but has changed: $(diff <(echo "$before") <(state))"
}

commit "Begin"
version=9.9.9-rc.1
release=(Scripts/release.sh "$version")
refused "Scripts/version.py --write $version" "${release[@]}"
refused "is no version" Scripts/version.py --write 1.2
Scripts/version.py --write "$version" >/dev/null
refused "the working tree has changes" "${release[@]}"
commit "Set the version"
refused "no section of the version" "${release[@]}"
sed -i "s/^## \[Unreleased\]$/&\n\n## [$version] - soon\n\n- A change of \`this\` release.\n\n## [0.0.1] - 2020-01-01\n\n- Old./" CHANGELOG.md
commit "Write a section"
refused "YYYY-MM-DD" "${release[@]}"
sed -i "s/ - soon$/ - 2026-01-15/" CHANGELOG.md
commit "Date it"
sed -i 's/^appVersion: .*/appVersion: 9.9.8/' deploy/helm/parallax-control-plane/Chart.yaml
commit "Disagree"
refused "Chart.yaml:6: 9.9.8" "${release[@]}"
git reset --quiet --hard HEAD~1
cp -a "$work/bin" "$work/old"
mkdir "$work/old/built"
for program in parallaxd parallax parallax-witness; do
  printf '#!/bin/sh\necho "%s (commit 000000000000)"\n' "$version" >"$work/old/built/$program"
  chmod 755 "$work/old/built/$program"
done
refused "(commit 000000000000); expected" "${release[@]}" --executables "$work/old/built"

before=$(state)
dry=$("${release[@]}" --dry-run)
[ "$(state)" = "$before" ] || fail "--dry-run has changed something"
[[ $dry == *"- A change of \`this\` release."* && $dry != *"- Old."* ]] || fail "--dry-run prints other notes than the section: $dry"

"${release[@]}" --output "$work/first" >/dev/null
refused "the tag v$version exists" "${release[@]}" --output "$work/second"
git cat-file -p "v$version" >"$work/tag"
[ "$(git cat-file -t "v$version")" = tag ] || fail "the tag is not annotated"
grep -qxFf <(sed 's/.*  //' "$work/first/SHA256SUMS") <(ls "$work/first") || fail "SHA256SUMS lists other files than there are"
[ "$(grep -cxFf "$work/first/SHA256SUMS" "$work/tag")" = 4 ] || fail "the message of the tag lacks the checksums"
git tag --delete "v$version" >/dev/null
"${release[@]}" --output "$work/second" >/dev/null
diff -r "$work/first" "$work/second" || fail "a second release of the same commit differs from the first"

# The commands of the page on verification, but for those that need a remote, a signature or a build.
page=docs/operations/verifying-a-release.md
commands=$(sed -n "/^## Build/q; s/^\\$ //p" "$page" | grep -v -e '^git fetch' -e '^git verify-tag' | sed "s/linux-x86_64/$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)/")
cp "$work"/first/* .
bash -euo pipefail -c "$commands" >"$work/verified" || fail "a command of $page failed: $commands"
for part in ".tar.gz: OK" "$version (commit $(git rev-parse --short=12 HEAD))" "pkg:swift/github.com/apple/swift-nio@"; do
  grep -qF "$part" "$work/verified" || fail "the commands of $page do not print \"$part\", but: $(cat "$work/verified")"
done
printf ' ' >>"parallax-$version/bin/parallax"
if bash -euo pipefail -c "$(grep -v 'tar --extract' <<<"$commands")" >/dev/null 2>&1; then fail "a changed program passes the commands of $page"; fi
"$root/$venv/bin/python" "$root/Scripts/check_sbom.py" "parallax-$version/parallax-$version.cdx.json" Package.resolved >/dev/null
echo "Release: 8 mistakes refused; a second release of a commit is equal; the $(wc -l <<<"$commands") commands of $page find a changed file"
