using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>
/// Which weights a model folder stems from, whatever the precision that it is served in: SHA-256 over the float32 tensors of its checkpoint, in
/// ordinal order of their names, each as <c>name [d0,d1]\n</c> in UTF-8 and then its data, little-endian. Lower-case hex.
/// </summary>
/// <remarks>A quantised export has no such tensors any more and carries the hash in lineage.json: <c>{"weights": "..."}</c>.</remarks>
public static class Lineage
{
    private const int PieceElements = 1 << 18;

    /// <summary>The hash of the safetensors files where the folder has some, else what its lineage.json says, else null: nothing is known.</summary>
    /// <remarks>Reads the whole checkpoint; the caller keeps the result.</remarks>
    /// <exception cref="EngineException">InvalidModelFolder: a safetensors file is broken, or lineage.json is no such object.</exception>
    public static string? Of(string folder)
    {
        string carried = Path.Combine(folder, FileNames.Lineage);
        return CheckpointFiles.Exist(folder) ? OfWeights(folder) : File.Exists(carried) ? Read(carried) : null;
    }

    /// <summary>Says of a folder without a checkpoint from which weights it was made.</summary>
    public static void Write(string folder, string weights) =>
        File.WriteAllText(Path.Combine(folder, FileNames.Lineage), $"{{ \"weights\": \"{weights}\" }}\n");

    private static string OfWeights(string folder)
    {
        using CheckpointFiles files = CheckpointFiles.Open(folder);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach ((SafetensorsFile file, string name) in files.Tensors.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            SafetensorsTensor tensor = file.Tensors[name];
            string shape = string.Join(',', tensor.Shape.Select(size => size.ToString(CultureInfo.InvariantCulture)));
            hash.AppendData(Encoding.UTF8.GetBytes($"{tensor.Name} [{shape}]\n"));
            foreach (ReadOnlyMemory<float> piece in file.ReadPieces(tensor.Name, PieceElements))
            {
                hash.AppendData(MemoryMarshal.AsBytes(piece.Span));
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string Read(string path)
    {
        JsonFields fields = JsonFields.Read(path);
        return fields.FindText("weights") is { } weights && ContentHash.IsHash(weights) ? weights : throw fields.Wrong("weights", "a SHA-256 in lower-case hex");
    }
}
