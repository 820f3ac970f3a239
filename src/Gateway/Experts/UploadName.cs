using System.Text.RegularExpressions;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>The names that files of an upload may have. A file with another name is refused, whatever its content.</summary>
internal static partial class UploadName
{
    public const string Archive = ".zip";

    private static readonly HashSet<string> Texts =
    [
        FileNames.AdapterConfig, FileNames.Manifest, FileNames.GenAiConfig, FileNames.Config, FileNames.GenerationConfig, FileNames.Lineage, FileNames.Tokenizer,
        FileNames.TokenizerConfig, FileNames.SpecialTokens, "added_tokens.json", "vocab.json", "merges.txt", FileNames.ChatTemplate,
    ];

    // Many folders have these files. The server does not read them.
    private static readonly HashSet<string> Unread = new(StringComparer.OrdinalIgnoreCase)
    {
        "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt", "USE_POLICY.md", ".gitattributes", ".DS_Store",

        // What trainers leave beside an adapter.
        "trainer_state.json", "trainer_config.json", "training_args.json", "all_results.json", "train_results.json", "eval_results.json", "test_results.json", "tokenizer.model",
    };

    private static readonly string[] UnreadKinds = [".png", ".jpg", ".svg", ".log", ".jsonl", ".csv", ".yaml", ".yml", ".md"];

    private static readonly string[] Weights = [".safetensors", ".onnx", ".data", ".onnx_data"];

    private static readonly string[] Pickles = [".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz"];

    private static readonly string[] Libraries = [".so", ".dll", ".dylib", ".exe", ".node", ".jar", ".wasm"];

    private static readonly string[] Archives = [Archive, ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"];

    /// <returns>Whether the file is kept. Other files are ignored.</returns>
    /// <exception cref="EngineException">InvalidExpert, naming the file and what is wrong with its name.</exception>
    public static bool IsKept(string name)
    {
        if (Unread.Contains(name))
        {
            return false;
        }

        string extension = Path.GetExtension(name).ToLowerInvariant();
        if (UnreadKinds.Contains(extension) && Plain().IsMatch(name))
        {
            return false;
        }

        return !Plain().IsMatch(name) || Reserved().IsMatch(name)
            ? throw Refused(name, "has no plain name; accepted are 1 to 128 of the characters A-Z a-z 0-9 . _ - that begin with a letter or digit and are no name of a device.")
            : Pickles.Contains(extension) ? throw Refused(name, "is a pickle by its name, which can run code; accepted are weights as .safetensors or .onnx.")
            : Libraries.Contains(extension) || name.Contains(".so.", StringComparison.OrdinalIgnoreCase)
                ? throw Refused(name, "is a program or shared library by its name; accepted are operators of ONNX Runtime alone.")
            : Archives.Contains(extension) ? throw Refused(name, "is an archive inside an archive, or of a kind that is not read; accepted is one .zip with the files.")
            : Texts.Contains(name) || Weights.Contains(extension) ? true
            : throw Refused(name, $"is no file of an expert; accepted are {string.Join(", ", Texts)} and files that end in {string.Join(", ", Weights)}.");
    }

    /// <summary>Whether the file is read as a whole, so that its size is limited.</summary>
    public static bool IsText(string name) => Texts.Contains(name);

    public static EngineException Refused(string name, string what, Exception? inner = null) =>
        new(EngineError.InvalidExpert, $"'{Printable(name)}' {what}", Printable(name), inner);

    /// <summary>Makes a name from an upload safe for a message: escapes control characters and cuts it to a line.</summary>
    public static string Printable(string name, int maxLength = 128) =>
        string.Concat(name.Take(maxLength).Select(letter => char.IsControl(letter) || char.IsSurrogate(letter) ? $"\\u{(int)letter:x4}" : $"{letter}")) + (name.Length > maxLength ? "..." : "");

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._-]{0,126}[A-Za-z0-9_-]\z|^[A-Za-z0-9]\z")]
    private static partial Regex Plain();

    [GeneratedRegex(@"^(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\.|\z)", RegexOptions.IgnoreCase)]
    private static partial Regex Reserved();
}
