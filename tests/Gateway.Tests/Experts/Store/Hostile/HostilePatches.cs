using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Patches that try to run code, read other files, take all memory, or give invalid rows.</summary>
internal static class HostilePatches
{
    private const string Layer = "base_model.model.model.layers.0.";
    private static readonly int[] A = [TinyPatch.Rank, 32], B = [64, TinyPatch.Rank];

    private static int GoodBytes => StoreFolder.Patch["adapter_model.safetensors"].Length;

    public static IEnumerable<HostileUpload> All => [.. Files, .. Configs, .. Headers, .. Tensors, .. Manifests];

    private static IEnumerable<HostileUpload> Files =>
    [
        File("pickle by name", "pickle by its name", "adapter_model.bin", [1]),
        File("checkpoint by name", "pickle by its name", "training_args.pt", [1]),
        File("pickle by content", "pickle, which can run code", [0x80, 4, (byte)'}', (byte)'.']),
        File("PyTorch checkpoint as weights", "PyTorch checkpoint", RawZip.Of([new("data.pkl", [0x80, 2, (byte)'.'])])),
        File("shared library by name", "shared library by its name", "libops.so", [1]),
        File("shared library with a version", "shared library by its name", "libops.so.1", [1]),
        File("Windows library by name", "shared library by its name", "ops.dll", [1]),
        File("ELF by content", "ELF", [0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0, .. new byte[64]]),
        File("Mach-O by content", "Mach-O", [0xCF, 0xFA, 0xED, 0xFE, .. new byte[64]]),
        File("Windows program by content", "Windows", WindowsProgram()),
        File("script as a template", "script", "chat_template.jinja", HostileUpload.Text("#!/bin/sh\nrm -rf /")),
        new("base's name that is not UTF-8", "not UTF-8", () => [("adapter_config.json", Encoding.Latin1.GetBytes("""{"peft_type":"LORA","r":2,"lora_alpha":4,"base_model_name_or_path":"é"}""")), ("adapter_model.safetensors", StoreFolder.Patch["adapter_model.safetensors"])]),
        File("gzip as JSON", "archive", "vocab.json", [0x1F, 0x8B, 8, 0, 0, 0]),
        File("source code", "no file of an expert", "modeling_llama.py", HostileUpload.Text("import os")),
        File("hidden file", "no plain name", ".bashrc", HostileUpload.Text("x")),
        File("path in a file name", "no plain name", "../adapter_config.json", HostileUpload.Text("{}")),
        File("weights that are not read", "not a file of a patch", "model.safetensors", StoreFolder.Patch["adapter_model.safetensors"]),
        new("nothing", "neither", () => []),
        new("no weights", "adapter_model.safetensors", () => [("adapter_config.json", StoreFolder.Patch["adapter_config.json"])]),
        new("no config", "neither", () => [("adapter_model.safetensors", StoreFolder.Patch["adapter_model.safetensors"])]),
        File("patch and model at once", "one of them", "genai_config.json", HostileUpload.Text("{}")),
    ];

    private static IEnumerable<HostileUpload> Configs =>
    [
        Config("deep JSON", "levels", new string('{', 1).PadRight(10) + "\"a\":" + new string('[', 100_000) + new string(']', 100_000) + "}"),
        Config("config of 2 MiB", "accepted are at most", """{"peft_type":"LORA","r":3,"lora_alpha":1 """ + new string(' ', 2 << 20) + "}"),
        Config("broken JSON", "cannot be read", "{\"r\": 3"),
        Config("array for an object", "JSON object", "[]"),
        Config("a field twice", "cannot be read", """{"peft_type":"LORA","r":3,"r":4,"lora_alpha":1}"""),
        Config("another method", "peft_type", """{"peft_type":"IA3","r":3,"lora_alpha":1}"""),
        Config("no rank", "r is missing", """{"peft_type":"LORA","lora_alpha":1}"""),
        Config("rank below 1", "r is 0", """{"peft_type":"LORA","r":0,"lora_alpha":1}"""),
        Config("another rank", "lora_A is", """{"peft_type":"LORA","r":4,"lora_alpha":1}"""),
        Config("rank as a text", "adapter_config.json", """{"peft_type":"LORA","r":"3","lora_alpha":1}"""),
        Config("alpha that overflows", "overflow", """{"peft_type":"LORA","r":3,"lora_alpha":1e308}"""),
        Config("modules to save", "modules_to_save", """{"peft_type":"LORA","r":3,"lora_alpha":1,"modules_to_save":["lm_head"]}"""),
        Config("activated LoRA", "alora_invocation_tokens", """{"peft_type":"LORA","r":3,"lora_alpha":1,"alora_invocation_tokens":[3,15]}"""),
        Config("PiSSA", "init_lora_weights is 'pissa'", """{"peft_type":"LORA","r":3,"lora_alpha":1,"init_lora_weights":"pissa"}"""),
        Config("PiSSA with iterations", "init_lora_weights is 'pissa_niter_4'", """{"peft_type":"LORA","r":3,"lora_alpha":1,"init_lora_weights":"pissa_niter_4"}"""),
        Config("OLoRA", "init_lora_weights is 'olora'", """{"peft_type":"LORA","r":3,"lora_alpha":1,"init_lora_weights":"olora"}"""),
        Config("trained tokens", "trainable_token_indices", """{"peft_type":"LORA","r":3,"lora_alpha":1,"trainable_token_indices":[1]}"""),
        Config("copied layers", "layer_replication", """{"peft_type":"LORA","r":3,"lora_alpha":1,"layer_replication":[[0,1],[0,1]]}"""),
        Config("quantised LoRA", "use_qalora", """{"peft_type":"LORA","r":3,"lora_alpha":1,"use_qalora":true}"""),
        Config("DoRA", "use_dora", """{"peft_type":"LORA","r":3,"lora_alpha":1,"use_dora":true}"""),
        Config("expression that explodes", "rank_pattern", """{"peft_type":"LORA","r":3,"lora_alpha":1,"rank_pattern":{"((a{1000}){1000}){1000}":3}}"""),
        Config("base that is no text", "base_model_name_or_path", """{"peft_type":"LORA","r":3,"lora_alpha":1,"base_model_name_or_path":{"a":1}}"""),
        Config("base with a line break", "base_model_name_or_path", """{"peft_type":"LORA","r":3,"lora_alpha":1,"base_model_name_or_path":"a\nb"}"""),
    ];

    private static IEnumerable<HostileUpload> Headers =>
    [
        Weights("header longer than the file", "claims", Safetensors("{}", claimed: 1 << 20)),
        Weights("header of 9 MiB", "bytes of header", Safetensors("{" + new string(' ', 9 << 20) + "}")),
        Weights("header of 8 EiB", "claims", Safetensors("{}", claimed: long.MaxValue)),
        Weights("header that is no JSON", "no safetensors header", Safetensors("{nonsense}")),
        Weights("header with a tensor twice", "no safetensors header", Safetensors($$"""{"a":{{Tensor("F32", 1, 0, 4)}},"a":{{Tensor("F32", 1, 0, 4)}} }""", new byte[4])),
        Weights("tensors that overlap", "the one before it ends", Safetensors($$"""{"a":{{Tensor("F32", 2, 0, 8)}},"b":{{Tensor("F32", 2, 4, 12)}} }""", new byte[12])),
        Weights("hole between tensors", "the one before it ends", Safetensors($$"""{"a":{{Tensor("F32", 1, 0, 4)}},"b":{{Tensor("F32", 1, 8, 12)}} }""", new byte[12])),
        Weights("tensor behind the file", "data_offsets", Safetensors($$"""{"a":{{Tensor("F32", 1000, 0, 4000)}} }""", new byte[4])),
        Weights("negative offset", "data_offsets", Safetensors($$"""{"a":{{Tensor("F32", 1, -4, 0)}} }""", new byte[4])),
        Weights("shape that wraps round", "takes", Safetensors("""{"a":{"dtype":"F32","shape":[1073741824,1073741824,1073741824,4],"data_offsets":[0,0]}}""")),
        Weights("negative shape", "takes", Safetensors("""{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}""", new byte[4])),
        Weights("unknown type", "dtype", Safetensors($$"""{"a":{{Tensor("F128", 1, 0, 16)}} }""", new byte[16])),
        Weights("bytes behind the tensors", "the file at", Safetensors($$"""{"a":{{Tensor("F32", 1, 0, 4)}} }""", new byte[8])),
        Weights("no tensors", "holds no tensors", Safetensors("{}")),
        HostileUpload.Patch("weights cut off", "data_offsets", "adapter_model.safetensors", StoreFolder.Patch["adapter_model.safetensors"][..^100]),
        Weights("weights beyond their limit", "MaxPatchBytes", Floats((Layer + "self_attn.q_proj.lora_A.weight", [TinyPatch.Rank, GoodBytes]))) with { Options = new() { MaxPatchBytes = GoodBytes } },
    ];

    private static IEnumerable<HostileUpload> Tensors =>
    [
        Pair("NaN", "holds NaN", "self_attn.q_proj", (a, b) => a[5] = float.NaN),
        Pair("infinity", "holds NaN or infinity", "self_attn.q_proj", (a, b) => b[7] = float.NegativeInfinity),
        Pair("target that is none", "lora_A and lora_B of", "self_attn.rotary_proj", (a, b) => { }),
        Weights("embedding as a target", "lora_A and lora_B of", Floats(("base_model.model.lm_head.lora_A.weight", A), ("base_model.model.lm_head.lora_B.weight", B))),
        Weights("A without B", "there is no", Floats((Layer + "self_attn.q_proj.lora_A.weight", A))),
        Weights("three dimensions", "[1, 3, 32]", Floats((Layer + "self_attn.q_proj.lora_A.weight", [1, 3, 32]), (Layer + "self_attn.q_proj.lora_B.weight", B))),
        Weights("empty tensor", "[3, 0]", Floats((Layer + "self_attn.q_proj.lora_A.weight", [3, 0]), (Layer + "self_attn.q_proj.lora_B.weight", B))),
        Weights("integers", "of I64", Safetensors($$"""{"{{Layer}}self_attn.q_proj.lora_A.weight":{"dtype":"I64","shape":[3,1],"data_offsets":[0,24]} }""", new byte[24])),
        Weights("layer that is too deep", "lora_A and lora_B of", Floats((Layer.Replace("0", "99999999999", StringComparison.Ordinal) + "self_attn.q_proj.lora_A.weight", A))),
        Weights("control character in a tensor's name", "\\u001b", Floats((Layer + "\u001b[2J", A))),
        Weights("rank beyond its limit", "MaxRank", Floats((Layer + "self_attn.q_proj.lora_A.weight", [4, 32]))) with { Options = new() { MaxRank = TinyPatch.Rank } },
    ];

    private static IEnumerable<HostileUpload> Manifests =>
    [
        Manifest("manifest with an unknown field", "manifest.json", """{"exec":"rm"}"""),
        Manifest("manifest with a wrong hash", "base.weights", """{"base":{"weights":"abc"}}"""),
        Manifest("manifest with more right answers than questions", "scores", """{"scores":[{"task":"t","right":3,"total":2}]}"""),
        Manifest("manifest that is too deep", "levels", """{"probe":""" + new string('[', 100) + new string(']', 100) + "}"),
    ];

    private static HostileUpload File(string kind, string says, string name, byte[] content) => HostileUpload.Patch(kind, says, name, content);

    private static HostileUpload File(string kind, string says, byte[] content) => HostileUpload.Patch(kind, says, "adapter_model.safetensors", content);

    private static HostileUpload Config(string kind, string says, string json) => HostileUpload.Patch(kind, says, "adapter_config.json", HostileUpload.Text(json));

    private static HostileUpload Weights(string kind, string says, byte[] content) => HostileUpload.Patch(kind, says, "adapter_model.safetensors", content);

    private static HostileUpload Manifest(string kind, string says, string json) => HostileUpload.Patch(kind, says, "manifest.json", HostileUpload.Text(json));

    private static HostileUpload Pair(string kind, string says, string module, Action<float[], float[]> change)
    {
        float[] a = new float[A[0] * A[1]], b = new float[B[0] * B[1]];
        change(a, b);
        return Weights(kind, says, Bytes((Layer + module + ".lora_A.weight", A, a), (Layer + module + ".lora_B.weight", B, b)));
    }

    private static byte[] Floats(params (string Name, int[] Shape)[] tensors) =>
        Bytes([.. tensors.Select(tensor => (tensor.Name, tensor.Shape, new float[tensor.Shape.Aggregate(1, (product, size) => product * size)]))]);

    private static byte[] Bytes(params (string Name, int[] Shape, float[] Data)[] tensors)
    {
        int end = 0;
        var header = tensors.ToDictionary(tensor => tensor.Name, tensor => new { dtype = "F32", shape = tensor.Shape, data_offsets = new[] { end, end += tensor.Data.Length * sizeof(float) } });
        return Safetensors(JsonSerializer.Serialize(header), [.. tensors.SelectMany(tensor => tensor.Data.SelectMany(BitConverter.GetBytes))]);
    }

    private static string Tensor(string type, int count, int begin, int end) => $$"""{"dtype":"{{type}}","shape":[{{count}}],"data_offsets":[{{begin}},{{end}}]}""";

    private static byte[] Safetensors(string header, byte[]? data = null, long? claimed = null)
    {
        byte[] json = Encoding.UTF8.GetBytes(header), length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, claimed ?? json.Length);
        return [.. length, .. json, .. data ?? []];
    }

    private static byte[] WindowsProgram()
    {
        byte[] program = new byte[256];
        program[0] = (byte)'M';
        program[1] = (byte)'Z';
        program[0x3C] = 0x80;
        "PE\0\0"u8.CopyTo(program.AsSpan(0x80));
        return program;
    }
}
