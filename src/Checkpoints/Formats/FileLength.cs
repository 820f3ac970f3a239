namespace ProxyTune.Checkpoints.Formats;

/// <summary>The length of a file, also through symbolic links, which <see cref="FileInfo.Length"/> does not follow. Hugging Face's cache consists of links.</summary>
internal static class FileLength
{
    /// <returns>The length in bytes; null if there is no such file.</returns>
    public static long? Find(string path)
    {
        FileSystemInfo? target = File.ResolveLinkTarget(path, returnFinalTarget: true);
        return target is null ? File.Exists(path) ? new FileInfo(path).Length : null
            : target is FileInfo { Exists: true } file ? file.Length
            : null;
    }

    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    public static long Of(string path) => Find(path) ?? throw new FileNotFoundException($"{path} does not exist.", path);
}
