using System.Security.Cryptography;
using System.Text;

namespace ProxyTune.Decoding.Experts;

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

    /// <summary>The first file of a folder that is not what was uploaded, or should not be there; null for none.</summary>
    public static string? Damage(string folder, ExpertRecord record)
    {
        string[] there = Directory.Exists(folder) ? [.. Directory.EnumerateFileSystemEntries(folder).Select(file => Path.GetFileName(file))] : [];
        return there.Except(record.Files.Keys).Concat(record.Files.Keys.Except(there)).FirstOrDefault()
            ?? record.Files.FirstOrDefault(file => OfFile(Path.Combine(folder, file.Key)) != file.Value).Key
            ?? (Of(record.Files) == record.Content ? null : RegistryFile.FileName);
    }

    public static bool IsHash(string text) => text.Length == Length && text.All(char.IsAsciiHexDigitLower);
}
