using System.Security.Cryptography;
using System.Text;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>SHA-256 of files and of folders, lower-case hex.</summary>
internal static class ContentHash
{
    public const int Length = 64;

    /// <summary>
    /// Over the lines <c>HASH  NAME</c> in ordinal order of the names: what <c>sha256sum * | sha256sum</c> prints in the folder where
    /// LC_ALL=C.
    /// </summary>
    public static string Of(IReadOnlyDictionary<string, string> files) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        string.Concat(files.OrderBy(file => file.Key, StringComparer.Ordinal).Select(file => $"{file.Value}  {file.Key}\n")))));

    public static string OfFile(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    public static bool IsHash(string text) => text.Length == Length && text.All(char.IsAsciiHexDigitLower);
}
