# For Linux. A Mac takes the notarised package of packaging/macos.
class SnowOnboard < Formula
  desc "Unlocks AWS Snowball Edge devices"
  homepage "@HOMEPAGE@"
  version "@VERSION@"
  license any_of: ["MIT", "Apache-2.0"]
  depends_on :linux

  on_intel do
    url "@DOWNLOADS@/@PACKAGE_1@"
    sha256 "@SHA256_1@"
  end
  on_arm do
    url "@DOWNLOADS@/@PACKAGE_2@"
    sha256 "@SHA256_2@"
  end

  def install
    bin.install "snow-onboard"
    man1.install Dir["man/man1/*.1"]
    man7.install "man/man7/snow-onboard.7"
    bash_completion.install "completions/snow-onboard.bash" => "snow-onboard"
    zsh_completion.install "completions/_snow-onboard"
    fish_completion.install "completions/snow-onboard.fish"
    doc.install "manual.md", "NOTICES", "examples"
  end

  def caveats
    "Before you uninstall it: `snow-onboard forget --all` removes the unlock codes from the keychain."
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/snow-onboard --version")
  end
end
