# What the scripts beside this file share: names, versions, and one function for each kind of package. Sourced by bash,
# with the checkout as the working directory.

# Where packages are made, and what is kept between two builds.
dist=${PACKAGING_DIST:-$PWD/dist}
work=${PACKAGING_WORK:-${CARGO_TARGET_DIR:-$PWD/target}/packaging}
packager=${PACKAGER:-The snow-onboard authors <maintainers@snow-onboard.invalid>}
homepage=${PACKAGING_HOMEPAGE:-https://snow-onboard.invalid}

# How hard deb and tarball are compressed. A try sets less.
deb_compression=(-Zxz) gzip_level=-9

say() { printf 'packaging: %s\n' "$*" >&2; }
skipped() { # skipped WHAT REASON
  printf 'packaging: %s skipped: %s\n' "$1" "$2" >&2
  mkdir -p "$work" && printf '%s\t%s\n' "$1" "$2" >> "$work/skipped.txt"
}
die() { say "$*"; exit 1; }
# have WHAT TOOL... : whether all tools are here; if not, WHAT is skipped and the reason is said.
have() {
  local what=$1 tool
  shift
  for tool in "$@"; do
    command -v "$tool" >/dev/null || { skipped "$what" "$tool is not installed (packaging/tools installs it)"; return 1; }
  done
}

# The version is said once, in Cargo.toml.
product_version() { awk -F'"' '/^\[workspace.package\]/ { here = 1 } here && /^version/ { print $2; exit }' Cargo.toml; }

# Every date in a package is the commit's, so that the same commit gives the same bytes whenever and wherever it is built.
commit_date() {
  if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
    echo "$SOURCE_DATE_EPOCH"
  else
    git log -1 --format=%ct 2>/dev/null || die "no git checkout here: say SOURCE_DATE_EPOCH"
  fi
}

# Everything below DIR gets the commit's date and the permissions of a package, whatever the builder's umask is.
settle() { # settle DIR
  find "$1" -type d -exec chmod 755 {} +
  find "$1" -type f -perm /100 -exec chmod 755 {} +
  find "$1" -type f ! -perm /100 -exec chmod 644 {} +
  find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

copy() { install -D -m "${3:-644}" "$1" "$2"; } # copy FROM TO [MODE]

deb_arch() { case $1 in x86_64-*) echo amd64 ;; aarch64-*) echo arm64 ;; *) die "no Debian name for $1" ;; esac; }

summary() { # summary NAME
  case $1 in
    snow-onboard) echo "Unlocks AWS Snowball Edge devices" ;;
    snow-onboard-rehearsal) echo "Drill for snow-onboard with a simulated device" ;;
  esac
}
description() { # description NAME
  case $1 in
    snow-onboard) cat <<'TEXT'
Fetches the manifest and the unlock code of an AWS Snowball Edge job, keeps
the code in the keychain and the manifest on disk, and unlocks the device
with the vendor's client. The code is not put on a command line.
The client, snowballEdge, is not part of this package.
TEXT
      ;;
    snow-onboard-rehearsal) cat <<'TEXT'
Plays AWS, a Snowball Edge device and the vendor's client on one machine, and
runs snow-onboard against them. It shows before the device arrives whether
this machine can do the job. It needs no AWS account and no device.
TEXT
      ;;
  esac
}

# The texts that go into every package, as files of DIR.
documents() { # documents NAME TARGET DIR
  copy LICENSE-MIT "$3/LICENSE-MIT"
  copy LICENSE-APACHE "$3/LICENSE-APACHE"
  copy "$work/$2/$1.NOTICES" "$3/NOTICES"
  [ ! -f "$work/$2/$1.cdx.json" ] || copy "$work/$2/$1.cdx.json" "$3/$1.cdx.json"
  [ "$1" = snow-onboard ] || return 0
  copy packaging/CHANGELOG.md "$3/CHANGELOG.md"
  copy packaging/manual.md "$3/manual.md"
  copy config/default.toml "$3/examples/config.toml"
  local file
  for file in packaging/iam-policy*.json; do copy "$file" "$3/examples/${file##*/}"; done
  for file in packaging/rollout/*.md; do copy "$file" "$3/rollout/${file##*/}"; done
}

# The installed tree of a Linux package: below ROOT all that deb and rpm have in common.
linux_root() { # linux_root NAME TARGET BIN_DIR ROOT
  local name=$1 target=$2 bin=$3 root=$4 file
  rm -rf "$root"
  documents "$name" "$target" "$root/usr/share/doc/$name"
  if [ "$name" = snow-onboard-rehearsal ]; then
    # One finds the other in its own folder. The client's stand-in is nothing to type, so only the first is in PATH.
    copy "$bin/snow-rehearsal" "$root/usr/libexec/$name/snow-rehearsal" 755
    copy "$bin/snow-rehearsal-client" "$root/usr/libexec/$name/snow-rehearsal-client" 755
    mkdir -p "$root/usr/bin"
    ln -s "../libexec/$name/snow-rehearsal" "$root/usr/bin/snow-rehearsal"
    copy packaging/linux/snow-rehearsal.1 "$root/usr/share/man/man1/snow-rehearsal.1"
  else
    copy "$bin/snow-onboard" "$root/usr/bin/snow-onboard" 755
    for file in packaging/man/*; do
      copy "$file" "$root/usr/share/man/man${file##*.}/${file##*/}"
    done
    copy packaging/completions/snow-onboard.bash "$root/usr/share/bash-completion/completions/snow-onboard"
    copy packaging/completions/snow-onboard.fish "$root/usr/share/fish/vendor_completions.d/snow-onboard.fish"
  fi
  gzip -9n "$root"/usr/share/man/man*/*
}

# The packages that a program needs, read from the program itself: `libc6 (>= 2.28)` for glibc, and nothing that is not
# known here. dpkg-shlibdeps would say the same, but only for the architecture that it runs on.
deb_depends() { # deb_depends PROGRAM...
  local libraries glibc unknown
  libraries=$(readelf -d "$@" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p' | sort -u)
  unknown=$(grep -vxE 'lib(c|m|pthread|dl|rt|util)\.so\.[0-9]+|ld-linux.*|libgcc_s\.so\.1' <<<"$libraries" || true)
  [ -z "$unknown" ] || die "a program needs a library that no package is known for: $unknown"
  glibc=$(readelf -V "$@" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1)
  printf 'libc6 (>= %s)' "${glibc#GLIBC_}"
  ! grep -qx 'libgcc_s.so.1' <<<"$libraries" || printf ', libgcc-s1'
}

make_deb() { # make_deb NAME TARGET VERSION BIN_DIR : prints the file made
  local name=$1 target=$2 version=$3 arch root doc
  arch=$(deb_arch "$target")
  root=$work/$target/$name.deb-root
  linux_root "$name" "$target" "$4" "$root"
  doc=$root/usr/share/doc/$name
  # Where Debian wants them. The zsh folder is another one on rpm systems.
  if [ "$name" = snow-onboard ]; then
    copy packaging/completions/_snow-onboard "$root/usr/share/zsh/vendor-completions/_snow-onboard"
    mv "$doc/CHANGELOG.md" "$doc/changelog"
    gzip -9n "$doc/changelog"
  fi
  printf '%s (%s-1) unstable; urgency=medium\n\n  * Version %s; see the changelog of the program.\n\n -- %s  %s\n' \
    "$name" "$version" "$version" "$packager" "$(date -R -u -d "@$SOURCE_DATE_EPOCH")" | gzip -9n > "$doc/changelog.Debian.gz"
  # Both licences are offered; the long text of one is on every Debian system.
  { cat packaging/linux/copyright; sed '/^Copyright/d; 1,2d; s/^$/./; s/^/ /' LICENSE-MIT; } > "$doc/copyright"
  rm "$doc/LICENSE-MIT" "$doc/LICENSE-APACHE"
  gzip -9n "$doc/NOTICES"

  local programs=("$root"/usr/bin/snow-onboard)
  [ "$name" = snow-onboard ] || programs=("$root"/usr/libexec/"$name"/*)
  mkdir -p "$root/DEBIAN"
  {
    printf 'Package: %s\nVersion: %s-1\nArchitecture: %s\nMaintainer: %s\n' "$name" "$version" "$arch" "$packager"
    printf 'Installed-Size: %s\n' "$(du -sk --apparent-size "$root/usr" | cut -f1)"
    printf 'Depends: %s' "$(deb_depends "${programs[@]}")"
    case $name in
      snow-onboard) printf '\nRecommends: ca-certificates\nSuggests: gnome-keyring, snow-onboard-rehearsal (= %s-1)\n' "$version" ;;
      snow-onboard-rehearsal) printf ', snow-onboard (= %s-1)\n' "$version" ;;
    esac
    printf 'Section: admin\nPriority: optional\nHomepage: %s\nDescription: %s\n' "$homepage" "$(summary "$name")"
    description "$name" | sed 's/^/ /'
  } > "$root/DEBIAN/control"
  (cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
  settle "$root"
  local out=$dist/${name}_$version-1_$arch.deb
  # One thread: with several the bytes depend on how many processors there are. Older versions know no other way.
  local threads=()
  ! dpkg-deb --help | grep -q -e --threads-max || threads=(--threads-max=1)
  dpkg-deb --root-owner-group "${deb_compression[@]}" "${threads[@]}" -b "$root" "$out" >/dev/null
  rm -rf "$root"
  echo "$out"
}

make_rpm() { # make_rpm NAME TARGET VERSION BIN_DIR
  local name=$1 target=$2 version=$3 arch=${2%%-*} root top needs=()
  root=$work/$target/$name.rpm-root
  top=$work/$target/$name.rpm-top
  linux_root "$name" "$target" "$4" "$root"
  [ "$name" != snow-onboard ] ||
    copy packaging/completions/_snow-onboard "$root/usr/share/zsh/site-functions/_snow-onboard"
  [ "$name" = snow-onboard ] || needs=("Requires: snow-onboard = $version-1")
  settle "$root"
  rm -rf "$top"
  mkdir -p "$top"
  # The folders of its own, and those of shells that may not be installed; then the files, licences marked as such.
  (cd "$root" && {
    find ./usr -type d \( -path "*/$name*" -o -path '*/fish*' -o -path '*/zsh*' -o -path '*/bash-completion*' \) | sed 's/^\./%dir /'
    find ./usr \( -type f -o -type l \) | sed 's/^\.//; /\/LICENSE-/s/^/%license /; t; /\/share\/doc\//s/^/%doc /'
  } | LC_ALL=C sort) > "$top/files"
  {
    sed -e "s|@NAME@|$name|; s|@VERSION@|$version|; s|@SUMMARY@|$(summary "$name")|; s|@HOMEPAGE@|$homepage|" \
      -e "s|@REQUIRES@|${needs[*]:-}|" packaging/linux/package.spec
    printf '%%description\n'
    description "$name"
  } > "$top/package.spec"
  rpmbuild -bb --quiet --target "$arch-linux" --define "_topdir $top" --define "root $root" --define "filelist $top/files" \
    --define "_rpmdir $top/out" --define "packager $packager" "$top/package.spec" > "$top/log" 2>&1 || { cat "$top/log" >&2; return 1; }
  local out=$dist/$name-$version-1.$arch.rpm
  mv "$top"/out/*/*.rpm "$out"
  rm -rf "$root" "$top"
  echo "$out"
}

# The files of an archive, in a folder that has the archive's name.
archive_root() { # archive_root NAME TARGET BIN_DIR FOLDER
  local name=$1 target=$2 bin=$3 folder=$4 file suffix=
  case $target in *windows*) suffix=.exe ;; esac
  rm -rf "$folder"
  documents "$name" "$target" "$folder"
  if [ "$name" = snow-onboard-rehearsal ]; then
    for file in snow-rehearsal snow-rehearsal-client; do copy "$bin/$file$suffix" "$folder/$file$suffix" 755; done
    return
  fi
  copy "$bin/snow-onboard$suffix" "$folder/snow-onboard$suffix" 755
  copy README.md "$folder/README.md"
  for file in packaging/completions/*; do copy "$file" "$folder/completions/${file##*/}"; done
  [ -n "$suffix" ] || for file in packaging/man/*; do copy "$file" "$folder/man/man${file##*.}/${file##*/}"; done
}

make_archive() { # make_archive NAME TARGET VERSION BIN_DIR : a tarball, for Windows a zip
  local name=$1 target=$2 version=$3 folder out
  folder=$work/$target/archive/$name-$version
  archive_root "$name" "$target" "$4" "$folder"
  settle "$folder"
  case $target in
    *windows*)
      out=$dist/$name-$version-${target%%-*}-windows.zip
      rm -f "$out"
      (cd "$folder/.." && find "$name-$version" -type f | LC_ALL=C sort | TZ=UTC zip -9 -X -D -q -@ "$out")
      ;;
    *)
      out=$dist/$name-$version-${target%%-*}-linux.tar.gz
      tar -C "$folder/.." --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --format=gnu \
        -cf - "$name-$version" | gzip "$gzip_level" -n > "$out"
      ;;
  esac
  rm -rf "$folder"
  echo "$out"
}

# A GUID that is always the same for the same words.
guid() {
  sha256sum <<<"snow-onboard $*" | sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/{\1-\2-4\3-8\4-\5}/' | tr a-f A-F
}

make_msi() { # make_msi NAME TARGET VERSION BIN_DIR
  local name=$1 target=$2 version=$3 folder clock row out
  folder=$work/$target/msi
  out=$dist/$name-$version-x64.msi
  archive_root "$name" "$target" "$4" "$folder"
  settle "$folder"
  # wixl and msibuild write the time of day into the file. The clock stands still for both, in whole seconds, because the
  # format knows no finer ones.
  clock=(faketime -f "$(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y-%m-%d %H:%M:%S')")
  rm -f "$out"
  # It takes files by relative names alone, from where its source lies.
  cp packaging/windows/snow-onboard.wxs "$folder/"
  (cd "$folder" && "${clock[@]}" wixl -a x64 -D "Version=$version" -D "ProductCode=$(guid product "$version" | tr -d '{}')" \
    -o "$out" snow-onboard.wxs)

  local -a sql=(
    # In PATH behind what is there (=-* : set at installation, removed at removal, of the machine).
    "CREATE TABLE Environment (Environment CHAR(72) NOT NULL, Name CHAR(255) NOT NULL LOCALIZABLE, Value CHAR(255) LOCALIZABLE, Component_ CHAR(72) NOT NULL PRIMARY KEY Environment)"
    "INSERT INTO Environment (Environment, Name, Value, Component_) VALUES ('Path', '=-*PATH', '[~];[INSTALLDIR]', 'Main')"
    "INSERT INTO InstallExecuteSequence (Action, Sequence) VALUES ('RemoveEnvironmentStrings', 3300)"
    "INSERT INTO InstallExecuteSequence (Action, Sequence) VALUES ('WriteEnvironmentStrings', 5200)"
    # Settings: administrators and the system write, everybody reads, nothing is inherited from above.
    "CREATE TABLE MsiLockPermissionsEx (MsiLockPermissionsEx CHAR(72) NOT NULL, LockObject CHAR(72) NOT NULL, \`Table\` CHAR(32) NOT NULL, SDDLText CHAR(0) NOT NULL, Condition CHAR(255) PRIMARY KEY MsiLockPermissionsEx)"
    "INSERT INTO MsiLockPermissionsEx (MsiLockPermissionsEx, LockObject, \`Table\`, SDDLText) VALUES ('Settings','SETTINGSDIR','CreateFolder','O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)')"
    # 64-bit and permanent: the administrator's file outlives the program.
    "UPDATE Component SET Attributes=272 WHERE Component='SettingsDir'"
  )
  for row in "${sql[@]}"; do "${clock[@]}" msibuild "$out" -q "$row"; done
  "${clock[@]}" msibuild "$out" -s "snow-onboard $version" "The snow-onboard authors" 'x64;1033' "$(guid package "$version" "$SOURCE_DATE_EPOCH")"
  rm -rf "$folder"
  echo "$out"
}
